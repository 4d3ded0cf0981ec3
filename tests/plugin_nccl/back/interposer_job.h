// SPDX-License-Identifier: Apache-2.0
// A job over the fake NCCL whose ranks are threads, each with an interposer, a device, a stream and a buffer.
#ifndef SIGNCCL_TESTS_PLUGIN_NCCL_BACK_INTERPOSER_JOB_H_
#define SIGNCCL_TESTS_PLUGIN_NCCL_BACK_INTERPOSER_JOB_H_

#include <algorithm>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "fake_nccl/fake_nccl.h"
#include "nccl/back/interposer.h"
#include "stream/stream_job.h"

namespace signccl::nccl_preload {

/// The functions of the fake, which this program links.
inline RealNccl fakeFunctions() {
  RealNccl functions;
#define SIGNCCL_FIND(name, parameters) \
  functions.name = reinterpret_cast<decltype(functions.name)>(dlsym(RTLD_DEFAULT, #name));
  SIGNCCL_NCCL_PRELOAD_FUNCTIONS(SIGNCCL_FIND)
#undef SIGNCCL_FIND
  functions.ncclGetLastError = reinterpret_cast<const char* (*)(Comm)>(dlsym(RTLD_DEFAULT, "ncclGetLastError"));
  return functions;
}

/// `timeout`: seconds for the comparison of rules.
inline std::unique_ptr<Interposer> makeInterposer(const std::string& rules, const std::string& mode = "",
                                                  const std::string& timeout = "60") {
  const rules::Environment environment = [=](const char* name) -> std::string {
    if (std::string_view(name) == "SIGNCCL_RULES") return rules;
    if (std::string_view(name) == "SIGNCCL_INTERPOSE") return mode;
    if (std::string_view(name) == "SIGNCCL_INTERPOSE_TIMEOUT") return timeout;
    return {};
  };
  return std::make_unique<Interposer>(fakeFunctions(), environment, "the fake");
}

/// A rules file with one rule.
inline std::string oneRule(const std::string& match, const std::string& action,
                           const std::string& options = R"("lossy": true)") {
  return R"({"version": 1, "rules": [{"name": "the rule", "match": {)" + match + R"(}, "action": ")" + action +
         R"(", "options": {)" + options + "}}]}";
}

inline const std::string kVotes = oneRule(R"("count": {"min": 100})", "vote");

inline const std::string kMeans = oneRule(R"("count": {"min": 100})", "avg");

inline Config defaultConfig() {
  return {.size = sizeof(Config),
          .magic = kMagic,
          .version = 23203,
          .blocking = INT_MIN,
          .cga_cluster_size = INT_MIN,
          .min_ctas = INT_MIN,
          .max_ctas = INT_MIN,
          .net_name = nullptr,
          .split_share = INT_MIN,
          .traffic_class = INT_MIN,
          .comm_name = nullptr};
}

/// Communicators that do not block compare their rules at the first call that matches.
inline Config withoutBlocking() {
  Config config = defaultConfig();
  config.blocking = 0;
  return config;
}

/// What one rank has. To be made in the thread that uses it.
class Member {
 public:
  static constexpr std::size_t kCount = 1000;

  Member(Interposer& interposer, int rank) : interposer_(interposer), current_(rank), buffer_(kBytes) {}

  Interposer& operator()() { return interposer_; }
  Comm comm = nullptr;
  [[nodiscard]] Stream stream() const { return reinterpret_cast<Stream>(stream_.get()); }
  [[nodiscard]] const signccl::Stream& work() const { return stream_; }

  /// When what was enqueued is done.
  void put(float value) {
    stream_.synchronize();
    const std::vector<float> elements(kCount, value);
    buffer_.put(std::as_bytes(std::span(elements)));
  }
  /// The value of all elements; NaN if they differ.
  [[nodiscard]] float get() const {
    stream_.synchronize();
    const std::vector<std::byte> bytes = buffer_.get();
    std::vector<float> elements(kCount);
    std::memcpy(elements.data(), bytes.data(), kBytes);
    return std::ranges::count(elements, elements.front()) == static_cast<long>(kCount) ? elements.front() : NAN;
  }

  [[nodiscard]] AllReduce call(std::size_t count = kCount) const {
    AllReduce call;
    call.send = buffer_.data();
    call.recv = buffer_.data();
    call.count = count;
    call.type = DataType::kFloat32;
    call.op = RedOp::kSum;
    call.comm = comm;
    call.stream = stream();
    return call;
  }
  Result allReduce(std::size_t count = kCount) { return interposer_.allReduce(call(count)); }
  /// In place on elements of this value.
  Result allReduceOf(float value) {
    put(value);
    return allReduce();
  }
  /// The same with bytes, of which there are four times as many.
  Result allReduceOfInt8(std::int8_t value) {
    stream_.synchronize();
    const std::vector<std::int8_t> elements(kBytes, value);
    buffer_.put(std::as_bytes(std::span(elements)));
    AllReduce bytes = call(kBytes);
    bytes.type = DataType::kInt8;
    return interposer_.allReduce(bytes);
  }
  [[nodiscard]] int getInt8() const {
    stream_.synchronize();
    const std::vector<std::byte> bytes = buffer_.get();
    EXPECT_EQ(std::ranges::count(bytes, bytes.front()), static_cast<long>(kBytes));
    return static_cast<std::int8_t>(bytes.front());
  }
  /// Waits for a communicator that does not block.
  void awaitIdle() {
    Result state = Result::kInProgress;
    while (state == Result::kInProgress) {
      ASSERT_EQ(interposer_.getAsyncError(comm, &state), Result::kSuccess);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_EQ(state, Result::kSuccess);
  }
  [[nodiscard]] std::string lastError() { return interposer_.getLastError(comm); }

 private:
  static constexpr std::size_t kBytes = kCount * sizeof(float);
  Interposer& interposer_;
  CurrentDevice current_;
  DeviceBuffer buffer_;
  signccl::Stream stream_;
};

/// Both drivers in the state of a fresh process, with eight devices. At the end no communicator may be left, and
/// nothing may have been done that NCCL forbids.
class InterposerTest : public StreamTest {
 protected:
  InterposerTest() {
    StreamTest::begin({.devices = 8, .queues = 4, .multiprocessors = 2});
    fake_nccl::reset(23203);
  }
  ~InterposerTest() override {
    EXPECT_THAT(fake_nccl::violations(), ::testing::IsEmpty());
    EXPECT_EQ(fake_nccl::communicators(), 0);
  }

  /// A function of the fake, as a program calls it that has no preload library.
  template <typename Function>
  static Function* fakeFunction(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
  }

  static UniqueId newId() {
    UniqueId id{};
    EXPECT_EQ(fakeFunction<Result(UniqueId*)>("ncclGetUniqueId")(&id), Result::kSuccess);
    return id;
  }

  /// Runs body(rank, member) in a thread for each rank, with a communicator of all of them in member.comm, which is
  /// destroyed afterwards if it is still there. The name in the configuration is overwritten once it is made.
  static void asRanks(const std::vector<Interposer*>& interposers, const std::function<void(int, Member&)>& body,
                      const Config& config = defaultConfig()) {
    const UniqueId id = newId();
    const int nranks = static_cast<int>(interposers.size());
    runAsRanks(nranks, [&](int rank) {
      Interposer& interposer = *interposers[static_cast<std::size_t>(rank)];
      Member member(interposer, rank);
      Config own = config;
      std::string name = config.comm_name == nullptr ? "" : config.comm_name;
      own.comm_name = config.comm_name == nullptr ? nullptr : name.c_str();
      const Result made = interposer.initRankConfig(&member.comm, nranks, id, rank, &own);
      std::ranges::fill(name, 'x');
      ASSERT_TRUE(made == Result::kSuccess || (config.blocking == 0 && made == Result::kInProgress));
      body(rank, member);
      if (member.comm == nullptr) return;
      cuStreamSynchronize(member.work().get());
      EXPECT_EQ(interposer.destroy(member.comm), Result::kSuccess);
    });
  }
  static void asRanks(int nranks, Interposer& interposer, const std::function<void(int, Member&)>& body,
                      const Config& config = defaultConfig()) {
    asRanks(std::vector<Interposer*>(static_cast<std::size_t>(nranks), &interposer), body, config);
  }
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_TESTS_PLUGIN_NCCL_BACK_INTERPOSER_JOB_H_
