// What a refused input is told.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::test {

/// The text of the kInput error that `read` throws; "" when it throws none.
template <class Read>
std::string complaint_of(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    return error.what();
  }
  return "";
}

}  // namespace rialto::test
