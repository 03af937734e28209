# What the libraries cannot be linked without, as find_package() takes it: for this project, and for whoever uses the
# installed package. What only their sources include, and leaves nothing to link, does not belong here.
set(cancelable_dependencies
  Threads
  Libuv
  Sqlite
  nlohmann_json
)
