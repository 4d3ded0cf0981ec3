// SPDX-License-Identifier: Apache-2.0
#include "comm/job_secret.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "base/digest.h"
#include "base/private_file.h"

namespace signccl {
namespace {

constexpr const char* kSecret = "SIGNCCL_COMM_SECRET";
constexpr const char* kSecretFile = "SIGNCCL_COMM_SECRET_FILE";

/// Numbers of steps from here on stand for batch scripts, interactive shells and the like.
constexpr std::uint64_t kFirstSpecialStep = 0xfffffff0;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool isStepOfTasks(const std::string& step) {
  std::uint64_t number = 0;
  const char* const end = step.data() + step.size();
  const auto [stop, error] = std::from_chars(step.data(), end, number);
  return error == std::errc() && stop == end && number < kFirstSpecialStep;
}

/// Only where srun has started the processes themselves: other launchers are often started by a step on each host, or
/// reach some hosts by ssh, which passes no variables on. Parts of a heterogeneous job have numbers of their own.
std::string slurmJob(const JobEnvironment& environment) {
  const auto job = environment("SLURM_JOB_ID");
  const auto step = environment("SLURM_STEP_ID");
  constexpr std::array kOthers = {"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_HET_SIZE"};
  const bool is_other = std::ranges::any_of(kOthers, [&](const char* name) { return environment(name).has_value(); });
  if (!job || !step || is_other || !isStepOfTasks(*step)) return {};
  return "Slurm job " + *job + ", step " + *step;
}

std::string readSecretFile(const Settings& settings, const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) && !file.eof()) {
    settings.reject(kSecretFile, "a file that can be read: " + std::generic_category().message(errno));
  }
  const std::string why = whyOthersCanRead(path);
  if (!why.empty()) settings.reject(kSecretFile, "a file that no other user may read: " + why + " (chmod 600)");
  return std::string(trimmed(line));
}

Secret digestOf(std::string_view text) {
  std::array<std::uint64_t, 2> digests{1, 2};
  for (std::uint64_t& digest : digests) {
    for (const char byte : text) digest = mix(digest, static_cast<unsigned char>(byte));
  }
  Secret secret;
  static_assert(sizeof digests == sizeof secret);
  for (std::size_t i = 0; i < secret.size(); ++i) {
    secret.at(i) = static_cast<std::uint8_t>(digests.at(i / 8) >> (8 * (i % 8)));
  }
  return secret;
}

}  // namespace

std::optional<std::string> jobVariable(const char* name) {
  const char* const value = std::getenv(name);
  const std::string_view text = trimmed(value == nullptr ? "" : value);
  return text.empty() ? std::nullopt : std::optional(std::string(text));
}

std::string jobName(const JobEnvironment& environment) {
  const auto run = environment("TORCHELASTIC_RUN_ID");
  if (run && *run != "none") return "torchrun's run " + *run;  // "none" is its default
  // Below torchrun this is the job that started its agents, which may be one for each host.
  const auto pmix_job = environment("PMIX_NAMESPACE");
  if (pmix_job && !run) return "PMIx job " + *pmix_job;
  return slurmJob(environment);
}

JobSecret jobSecret(const Settings& settings, const std::string& job) {
  const auto file = settings.text(kSecretFile);
  const auto given = settings.text(kSecret);
  if (file && given) settings.reject(kSecretFile, "nothing, since SIGNCCL_COMM_SECRET is set too");
  if (!file && !given) return {job.empty() ? Secret{} : digestOf(job), false};
  const std::string text = file ? readSecretFile(settings, *file) : *given;
  JobSecret secret;
  if (text.empty() || text.size() > secret.bytes.size()) {
    settings.reject(file ? kSecretFile : kSecret,
                    file ? "a file whose first line has 1 to 16 characters, not " + std::to_string(text.size())
                         : "1 to 16 characters");
  }
  std::ranges::copy(text, secret.bytes.begin());
  secret.is_users = true;
  return secret;
}

}  // namespace signccl
