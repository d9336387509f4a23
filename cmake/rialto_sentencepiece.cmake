# SentencePiece's C++ library, static. Its sources come with the crate that rust/sentencepiece pins; the crate's own build
# would make the trainer, five programs and shared libraries as well, which takes minutes.
set(rialto_sentencepiece_manifest ${CMAKE_SOURCE_DIR}/rust/sentencepiece/Cargo.toml)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${rialto_sentencepiece_manifest} ${CMAKE_SOURCE_DIR}/rust/sentencepiece/Cargo.lock)
execute_process(
  COMMAND ${RIALTO_CARGO} metadata --locked --format-version 1 --manifest-path ${rialto_sentencepiece_manifest}
  OUTPUT_VARIABLE rialto_crates COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "\"manifest_path\":\"([^\"]*/sentencepiece-sys-[^\"/]*)/Cargo.toml\"" found "${rialto_crates}")
if(NOT found)
  message(FATAL_ERROR "cargo names no folder of the crate sentencepiece-sys. Hint: ${rialto_sentencepiece_manifest}")
endif()
set(rialto_sentencepiece_source ${CMAKE_MATCH_1}/source)

# Hidden symbols: LibTorch exports a protobuf of its own, and neither may take the other's place.
function(rialto_add_sentencepiece)
  set(SPM_ENABLE_SHARED OFF CACHE INTERNAL "")
  set(SPM_ENABLE_TCMALLOC OFF CACHE INTERNAL "")
  set(CMAKE_CXX_VISIBILITY_PRESET hidden)
  set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
  set(CMAKE_POLICY_DEFAULT_CMP0063 NEW)
  set(CMAKE_WARN_DEPRECATED OFF CACHE INTERNAL "")
  set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
  add_subdirectory(${rialto_sentencepiece_source} ${CMAKE_BINARY_DIR}/sentencepiece EXCLUDE_FROM_ALL SYSTEM)
  target_compile_options(sentencepiece-static PRIVATE -w)
  # Scores as floats throughout, as in releases since: an 0.1 made some sums doubles, which breaks ties otherwise.
  set_source_files_properties(${rialto_sentencepiece_source}/src/unigram_model.cc
    TARGET_DIRECTORY sentencepiece-static PROPERTIES COMPILE_OPTIONS -fsingle-precision-constant)
endfunction()
rialto_add_sentencepiece()

# By file, so that what is installed names no target of another project.
set(rialto_sentencepiece_archive ${CMAKE_BINARY_DIR}/sentencepiece/src/libsentencepiece.a)
add_library(rialto_sentencepiece STATIC IMPORTED GLOBAL)
set_target_properties(rialto_sentencepiece PROPERTIES IMPORTED_LOCATION ${rialto_sentencepiece_archive})
add_dependencies(rialto_sentencepiece sentencepiece-static)
