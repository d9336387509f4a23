# LibTorch from the PyPI wheel as an imported target of our own: TorchConfig would demand a whole CUDA toolkit.
set(RIALTO_TORCH_ROOT ${RIALTO_SITE_PACKAGES}/torch)
set(RIALTO_CUDA_ROOT ${RIALTO_SITE_PACKAGES}/nvidia/cu13)
if(NOT EXISTS ${RIALTO_TORCH_ROOT}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no LibTorch in RIALTO_SITE_PACKAGES='${RIALTO_SITE_PACKAGES}'. Hint: run ./dev setup, or configure with -DRIALTO_TORCH=OFF")
endif()
set(RIALTO_HAVE_CUDA OFF)
if(EXISTS ${RIALTO_TORCH_ROOT}/lib/libtorch_cuda.so AND EXISTS ${RIALTO_CUDA_ROOT}/bin/nvcc)
  set(RIALTO_HAVE_CUDA ON)
endif()

add_library(rialto_libtorch INTERFACE)
target_include_directories(rialto_libtorch SYSTEM INTERFACE
  ${RIALTO_TORCH_ROOT}/include ${RIALTO_TORCH_ROOT}/include/torch/csrc/api/include)
target_compile_definitions(rialto_libtorch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
set(rialto_torch_libs libtorch_cpu.so libtorch.so libc10.so)
set(rialto_torch_rpath ${RIALTO_TORCH_ROOT}/lib)
if(RIALTO_HAVE_CUDA)
  list(APPEND rialto_torch_libs libtorch_cuda.so libc10_cuda.so)
  string(APPEND rialto_torch_rpath ":${RIALTO_CUDA_ROOT}/lib")
endif()
list(TRANSFORM rialto_torch_libs PREPEND ${RIALTO_TORCH_ROOT}/lib/)
if(RIALTO_HAVE_CUDA)
  list(APPEND rialto_torch_libs ${RIALTO_CUDA_ROOT}/lib/libcudart.so.13)
endif()
# Programs and libraries share one precompiled header, so both are compiled as -fPIC; CMake says -fPIE for programs, and
# the header is then read as text: three times slower.
target_compile_options(rialto_libtorch INTERFACE -fPIC)
# CUDA kernels register themselves when their library loads, so nothing may be dropped as unneeded.
target_link_options(rialto_libtorch INTERFACE
  -Wl,--no-as-needed -Wl,--allow-shlib-undefined -Wl,--disable-new-dtags -Wl,-rpath,${rialto_torch_rpath})
target_link_libraries(rialto_libtorch INTERFACE ${rialto_torch_libs})

# LibTorch's include folder brings a newer {fmt} than Debian's: its compiled half, for the files that see these headers.
add_library(rialto_fmt_torch STATIC ${CMAKE_SOURCE_DIR}/src/rialto/base/fmt_library.cpp)
target_include_directories(rialto_fmt_torch SYSTEM PRIVATE ${RIALTO_TORCH_ROOT}/include)
target_link_libraries(rialto_libtorch INTERFACE rialto_fmt_torch)

# One precompiled header for every target right of the torch line: 16 s once, then 2 s a file instead of 6.
add_library(rialto_torch_pch OBJECT ${CMAKE_BINARY_DIR}/empty.cpp)
target_link_libraries(rialto_torch_pch PRIVATE rialto_flags rialto_libtorch)
target_precompile_headers(rialto_torch_pch PRIVATE
  <ATen/core/Tensor.h> <ATen/Functions.h> <torch/csrc/autograd/custom_function.h>
  <algorithm> <cmath> <cstdint> <functional> <map> <memory> <optional> <string> <string_view> <variant> <vector>)
