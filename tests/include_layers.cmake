# Keeps the includes running one way: cli -> ipc -> engine -> engine/process. Run as
#   cmake -D ROOT=<source tree> -P include_layers.cmake
# and fails with one line for each include that goes against it.
set(violations "")

# violation(FILE INCLUDED WHY): remembers one.
macro(violation file included why)
  list(APPEND violations "${file} includes ${included}: ${why}")
endmacro()

file(GLOB_RECURSE sources RELATIVE ${ROOT}
  ${ROOT}/engine/*.h ${ROOT}/engine/*.cpp ${ROOT}/ipc/*.h ${ROOT}/ipc/*.cpp ${ROOT}/cli/*.h ${ROOT}/cli/*.cpp)
foreach(file IN LISTS sources)
  file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "include[ \t]*[<\"]([^>\"]+)[>\"]")
      continue()
    endif()
    set(included ${CMAKE_MATCH_1})

    # Between the project's own directories.
    if(included MATCHES "^tests/")
      violation(${file} ${included} "tests are no part of the programs")
    endif()
    if(file MATCHES "^(engine|ipc)/" AND included MATCHES "^cli/")
      violation(${file} ${included} "only cli knows cli")
    endif()
    if(file MATCHES "^engine/" AND included MATCHES "^ipc/")
      violation(${file} ${included} "the engine knows no clients")
    endif()
    if(file MATCHES "^engine/process/" AND included MATCHES "^engine/" AND NOT included MATCHES "^engine/process/")
      violation(${file} ${included} "engine/process is the lowest layer")
    endif()
    if(file MATCHES "^engine/shim/" AND included MATCHES "^engine/" AND
       NOT included MATCHES "^engine/(process|shim)/")
      violation(${file} ${included} "the shim is made of engine/process and its channel alone")
    endif()

    # Libraries.
    if(included MATCHES "^uv\\.h$")
      if(file MATCHES "\\.h$")
        violation(${file} ${included} "whoever includes a header must not need libuv")
      elseif(NOT file MATCHES "^(engine|ipc)/" OR file MATCHES "^engine/(process|shim)/")
        violation(${file} ${included} "libuv is for the engine's and ipc's sources")
      endif()
    endif()
    if(file MATCHES "^engine/" AND included MATCHES "^nlohmann/")
      violation(${file} ${included} "the engine knows no JSON")
    endif()
    if(file MATCHES "^engine/(process|shim)/" AND included MATCHES "^(fmt|spdlog|CLI|toml\\+\\+)/|^sqlite3\\.h$")
      violation(${file} ${included} "the shim stays small")
    endif()
    if(NOT file MATCHES "^cli/" AND included MATCHES "^(CLI|toml\\+\\+)/|^toml\\.h")
      violation(${file} ${included} "command line and configuration are cli's")
    endif()
  endforeach()
endforeach()

list(LENGTH sources file_count)
list(LENGTH violations count)
if(count GREATER 0)
  list(JOIN violations "\n" text)
  message(FATAL_ERROR "${count} violations:\n${text}")
endif()
if(file_count EQUAL 0)
  message(FATAL_ERROR "there is nothing to check in ${ROOT}")
endif()
message(STATUS "${file_count} files, and every include runs cli -> ipc -> engine -> engine/process")
