// SPDX-License-Identifier: Apache-2.0
#include "control/shared_settings.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

const SharedSettings kBase = {{"SIGNCCL_ALGO", "ring"}, {"SIGNCCL_SLICE_BYTES", "64"}};

TEST(SharedSettingsTest, EqualSettingsDoNotDiffer) {
  EXPECT_EQ(describeDifference(kBase, 0, kBase, 1), std::nullopt);
  EXPECT_EQ(describeDifference({}, 0, {}, 1), std::nullopt);
}

TEST(SharedSettingsTest, DifferentValueIsNamedWithBothRanks) {
  EXPECT_EQ(describeDifference(kBase, 0, {{"SIGNCCL_ALGO", "ring"}, {"SIGNCCL_SLICE_BYTES", "65"}}, 3),
            "the ranks have different settings: SIGNCCL_SLICE_BYTES is 64 on rank 0 and 65 on rank 3");
}

TEST(SharedSettingsTest, SettingThatOneSideDoesNotKnowIsNamed) {
  const SharedSettings less = {{"SIGNCCL_ALGO", "ring"}};
  EXPECT_EQ(describeDifference(kBase, 0, less, 3),
            "the ranks have different settings: SIGNCCL_SLICE_BYTES is 64 on rank 0 and unknown on rank 3");
  EXPECT_EQ(describeDifference(less, 3, kBase, 0),
            "the ranks have different settings: SIGNCCL_SLICE_BYTES is unknown on rank 3 and 64 on rank 0");
}

TEST(SharedSettingsTest, ComeBackFromAMessage) {
  for (const SharedSettings& settings : {SharedSettings{}, kBase}) {
    WireWriter writer;
    write(writer, settings);
    const std::string bytes = writer.take();
    WireReader reader(bytes);
    EXPECT_EQ(readSharedSettings(reader), settings);
    reader.finish();
  }
}

TEST(SharedSettingsTest, OrderDoesNotMatter) {
  EXPECT_EQ(describeDifference(kBase, 0, {kBase[1], kBase[0]}, 1), std::nullopt);
}

}  // namespace
}  // namespace signccl
