// SPDX-License-Identifier: Apache-2.0
#include "base/process_name.h"

#include <unistd.h>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(ProcessNameTest, HostHasNoDomain) {
  EXPECT_FALSE(hostName().empty());
  EXPECT_EQ(hostName().find('.'), std::string::npos);
}

TEST(ProcessNameTest, HostAndProcessAreReplaced) {
  EXPECT_EQ(expandFileName("/tmp/a.%h.%p.log"), "/tmp/a." + hostName() + "." + std::to_string(getpid()) + ".log");
}

TEST(ProcessNameTest, OtherTextStays) {
  EXPECT_EQ(expandFileName(""), "");
  EXPECT_EQ(expandFileName("plain"), "plain");
  EXPECT_EQ(expandFileName("%%p %q %"), "%p %q %");
}

}  // namespace
}  // namespace signccl
