# What the machine has beside the compiler. Missing parts are left out, and said once.
include(CheckLanguage)

set(SIGNCCL_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO, ON or OFF")
set(SIGNCCL_UCX AUTO CACHE STRING "Build the UCX transport: AUTO, ON or OFF")
set_property(CACHE SIGNCCL_CUDA SIGNCCL_UCX PROPERTY STRINGS AUTO ON OFF)

find_package(Threads REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(spdlog 1.9 REQUIRED)
find_path(SIGNCCL_ASIO_INCLUDE_DIR asio.hpp REQUIRED)
