# What a C++ program needs that embeds the engine or uses the client: find_package(cancelable).
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cancelable)

install(TARGETS cancelable_process cancelable_channel cancelable_engine cancelable_ipc EXPORT cancelable
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set_target_properties(cancelable_process PROPERTIES EXPORT_NAME process)
set_target_properties(cancelable_channel PROPERTIES EXPORT_NAME channel)
set_target_properties(cancelable_engine PROPERTIES EXPORT_NAME engine)
set_target_properties(cancelable_ipc PROPERTIES EXPORT_NAME ipc)
set_target_properties(cancelable-shim PROPERTIES EXPORT_NAME shim)
set_target_properties(cancelable PROPERTIES EXPORT_NAME program)

install(EXPORT cancelable NAMESPACE cancelable:: FILE cancelable-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(share/cmake/cancelable-config.cmake.in
  ${PROJECT_BINARY_DIR}/generated/cancelable-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/cancelable-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/cancelable-config.cmake
              ${PROJECT_BINARY_DIR}/generated/cancelable-config-version.cmake
              share/cmake/dependencies.cmake
              share/cmake/FindLibuv.cmake
              share/cmake/FindSqlite.cmake
        DESTINATION ${package_dir})

install(CODE "set(CANCELABLE_SOURCE \"${PROJECT_SOURCE_DIR}\")
set(CANCELABLE_STAGE \"${PROJECT_BINARY_DIR}/installed_headers\")
set(CANCELABLE_INCLUDE \"${CMAKE_INSTALL_INCLUDEDIR}\")")
install(SCRIPT share/cmake/install_headers.cmake)

install(DIRECTORY share/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples USE_SOURCE_PERMISSIONS)
