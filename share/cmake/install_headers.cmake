# Installs the public headers, and those that they include, as <cancelable/engine/…> and <cancelable/ipc/…>. In here they
# include each other as "engine/…": installed, they say <cancelable/engine/…>, so that a user's own folder of that name
# can be in nobody's way. Run by `cmake --install`, with
#   CANCELABLE_SOURCE  this source tree
#   CANCELABLE_STAGE   a folder of the build tree
#   CANCELABLE_INCLUDE where they go, below the prefix
cmake_policy(VERSION 3.25)

set(pending
  engine/bridge.h
  engine/context.h
  engine/directories.h
  engine/local_operation.h
  engine/registry.h
  engine/supervisor.h
  engine/token.h
  engine/workers.h
  engine/process/signal_names.h
  ipc/client.h
  ipc/requests.h
  ipc/results.h
  ipc/server.h
  ipc/service.h
  ipc/socket.h
)

file(REMOVE_RECURSE ${CANCELABLE_STAGE})
set(seen "")
while(pending)
  list(POP_FRONT pending header)
  if(header IN_LIST seen)
    continue()
  endif()
  list(APPEND seen ${header})
  file(READ ${CANCELABLE_SOURCE}/${header} text)
  string(REGEX MATCHALL "#include \"[^\"]+\"" includes "${text}")
  foreach(include IN LISTS includes)
    string(REGEX REPLACE "#include \"(.*)\"" "\\1" included ${include})
    list(APPEND pending ${included})
  endforeach()
  string(REGEX REPLACE "#include \"([^\"]+)\"" "#include <cancelable/\\1>" text "${text}")
  file(WRITE ${CANCELABLE_STAGE}/${header} "${text}")
endwhile()

file(INSTALL ${CANCELABLE_STAGE}/ DESTINATION ${CMAKE_INSTALL_PREFIX}/${CANCELABLE_INCLUDE}/cancelable
     FILES_MATCHING PATTERN "*.h")
