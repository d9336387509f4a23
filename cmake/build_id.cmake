# cmake -DSOURCE_DIR=... -DOUTPUT=header -P build_id.cmake: writes RIALTO_BUILD_ID, a hash over names and contents of the
# sources that both programs are built from. An unchanged id leaves the file alone, so nothing is rebuilt.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE sources FOLLOW_SYMLINKS RELATIVE ${SOURCE_DIR}
  ${SOURCE_DIR}/src/*.h ${SOURCE_DIR}/src/*.cpp ${SOURCE_DIR}/src/*.cu ${SOURCE_DIR}/src/*.cuh
  ${SOURCE_DIR}/rust/*.rs ${SOURCE_DIR}/rust/Cargo.lock ${SOURCE_DIR}/recipes/*.yaml)
list(FILTER sources EXCLUDE REGEX "^rust/target/")
list(SORT sources)
set(digest "")
foreach(source IN LISTS sources)
  file(SHA256 ${SOURCE_DIR}/${source} one)
  string(APPEND digest "${source} ${one}\n")
endforeach()
string(SHA256 id "${digest}")
string(SUBSTRING ${id} 0 16 id)
set(text "#define RIALTO_BUILD_ID \"${id}\"\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
