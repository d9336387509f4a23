# The Rust crate rust/ (Hugging Face tokenizers behind a C ABI) as an imported static library, built by cargo.
find_program(RIALTO_CARGO cargo HINTS $ENV{HOME}/.cargo/bin)
if(NOT RIALTO_CARGO)
  message(FATAL_ERROR "no cargo found. Hint: run ./dev setup")
endif()
set(rialto_rust_dir ${CMAKE_SOURCE_DIR}/rust)
set(RIALTO_RUST_TARGET_DIR ${RIALTO_RUST_TARGET})
if(NOT RIALTO_RUST_TARGET_DIR)
  set(RIALTO_RUST_TARGET_DIR ${CMAKE_BINARY_DIR}/rust)
endif()
set(rialto_rust_archive ${RIALTO_RUST_TARGET_DIR}/release/librialto_tokenizers.a)
# Its own copy: the shared target folder's archive may be renewed by another build tree while this one links.
set(rialto_rust_copy ${CMAKE_BINARY_DIR}/librialto_tokenizers.a)

file(GLOB rialto_rust_sources CONFIGURE_DEPENDS ${rialto_rust_dir}/src/*.rs)
add_custom_command(
  OUTPUT ${rialto_rust_copy}
  COMMAND ${RIALTO_CARGO} build --release --locked --quiet
          --manifest-path ${rialto_rust_dir}/Cargo.toml --target-dir ${RIALTO_RUST_TARGET_DIR}
  COMMAND ${CMAKE_COMMAND} -E copy ${rialto_rust_archive} ${rialto_rust_copy}
  DEPENDS ${rialto_rust_sources} ${rialto_rust_dir}/Cargo.toml ${rialto_rust_dir}/Cargo.lock
  COMMENT "Building the tokenizers crate with cargo"
  VERBATIM)
add_custom_target(rialto_rust_build DEPENDS ${rialto_rust_copy})

add_library(rialto_rust_tokenizers STATIC IMPORTED GLOBAL)
set_target_properties(rialto_rust_tokenizers PROPERTIES
  IMPORTED_LOCATION ${rialto_rust_copy}
  INTERFACE_LINK_LIBRARIES "dl;pthread;m")
add_dependencies(rialto_rust_tokenizers rialto_rust_build)
