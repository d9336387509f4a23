# `cmake --install`: both programs, the rooms left of the torch line as one library target rialto::rialto, all rooms as
# rialto::training, their headers. LibTorch stays where it is.
set(rialto_installed_rooms base spec formats hub bridge families store config resolve source data schedule convert)
list(TRANSFORM rialto_installed_rooms PREPEND rialto_ OUTPUT_VARIABLE rialto_installed_targets)

add_library(rialto_rialto INTERFACE)
target_link_libraries(rialto_rialto INTERFACE ${rialto_installed_targets})
set_target_properties(rialto_rialto PROPERTIES EXPORT_NAME rialto)

install(TARGETS rialto_flags rialto_rialto ${rialto_installed_targets} EXPORT rialto_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT rialto_targets NAMESPACE rialto:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rialto FILE rialto-targets.cmake)
install(FILES ${rialto_rust_copy} ${rialto_sentencepiece_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(room ${rialto_installed_rooms})
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/rialto/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rialto FILES_MATCHING PATTERN "*.h")
endforeach()

if(RIALTO_TORCH)
  set(rialto_training_rooms kernels comm model optim parallel checkpoint generate train)
  list(TRANSFORM rialto_training_rooms PREPEND rialto_ OUTPUT_VARIABLE rialto_training_targets)
  add_library(rialto_training INTERFACE)
  target_link_libraries(rialto_training INTERFACE ${rialto_training_targets})
  set_target_properties(rialto_training PROPERTIES EXPORT_NAME training)
  install(TARGETS rialto_training rialto_libtorch rialto_fmt_torch ${rialto_training_targets} EXPORT rialto_targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  foreach(room ${rialto_training_rooms})
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/rialto/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rialto FILES_MATCHING PATTERN "*.h")
  endforeach()
endif()

include(CMakePackageConfigHelpers)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/rialto-config.cmake.in ${CMAKE_BINARY_DIR}/rialto-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rialto PATH_VARS CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/rialto-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/rialto-config.cmake ${CMAKE_BINARY_DIR}/rialto-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rialto)

install(TARGETS rialto)
if(RIALTO_TORCH)
  set_target_properties(rialto-train PROPERTIES INSTALL_RPATH "${rialto_torch_rpath}")
  install(TARGETS rialto-train)
endif()
