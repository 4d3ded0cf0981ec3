// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <limits>
#include <ostream>
#include <sstream>
#include <stdexcept>

#include "mean_group.h"
#include "model.h"

namespace digits {
namespace {

constexpr int kTitleWidth = 36;

std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

std::ofstream openForWriting(const std::filesystem::path& path) {
  std::ofstream file(path);
  if (!file) throw std::runtime_error("cannot write " + path.string());
  file << std::setprecision(std::numeric_limits<float>::max_digits10);
  return file;
}

void closeOrThrow(std::ofstream& file, const std::filesystem::path& path) {
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

void writeCurves(const std::filesystem::path& path, const std::vector<Entry>& entries) {
  std::ofstream file = openForWriting(path);
  file << "shards,workers,method,seed,step,training_loss,training_accuracy,held_out_loss,held_out_accuracy\n";
  for (const Entry& entry : entries) {
    for (std::size_t i = 0; i < entry.runs.size(); ++i) {
      for (const CurvePoint& point : entry.runs[i].curve) {
        file << nameOf(entry.sharding) << ',' << entry.workers << ',' << entry.method.id() << ',' << entry.seeds[i]
             << ',' << point.step << ',' << point.training.loss << ',' << point.training.accuracy << ','
             << point.held_out.loss << ',' << point.held_out.accuracy << '\n';
      }
    }
  }
  closeOrThrow(file, path);
}

void writeSummary(const std::filesystem::path& path, const std::vector<Entry>& entries) {
  std::ofstream file = openForWriting(path);
  file << "shards,workers,method,learning_rate,weight_decay,seeds,accuracy,lowest_accuracy,highest_accuracy,held_out_"
          "loss,"
          "training_loss,bytes_per_step,fp32_bytes_per_step,seconds,replicas_agree\n";
  for (const Entry& entry : entries) {
    const Summary s = summarise(entry);
    file << nameOf(entry.sharding) << ',' << entry.workers << ',' << entry.method.id() << ','
         << entry.method.settings.learning_rate << ',' << entry.method.settings.weight_decay << ',' << entry.runs.size()
         << ',' << s.accuracy << ',' << s.lowest_accuracy << ',' << s.highest_accuracy << ',' << s.held_out_loss << ','
         << s.training_loss << ',' << s.bytes_per_step << ',' << s.fp32_bytes_per_step << ',' << s.seconds << ','
         << (s.replicas_agree ? 1 : 0) << '\n';
  }
  closeOrThrow(file, path);
}

}  // namespace

std::string nameOf(Sharding sharding) {
  switch (sharding) {
    case Sharding::kOwn:
      return "own";
    case Sharding::kWhole:
      return "whole";
  }
  throw std::logic_error("unknown sharding");
}

Summary summarise(const Entry& entry) {
  Summary summary{.lowest_accuracy = 1,
                  .fp32_bytes_per_step = fp32RingBytes(entry.workers, Mlp().parameterCount()),
                  .replicas_agree = true};
  const auto nruns = static_cast<double>(entry.runs.size());
  for (const RunResult& run : entry.runs) {
    const CurvePoint& end = run.curve.back();
    summary.accuracy += end.held_out.accuracy / nruns;
    summary.lowest_accuracy = std::min(summary.lowest_accuracy, end.held_out.accuracy);
    summary.highest_accuracy = std::max(summary.highest_accuracy, end.held_out.accuracy);
    summary.held_out_loss += end.held_out.loss / nruns;
    summary.training_loss += end.training.loss / nruns;
    summary.bytes_per_step += run.bytes_per_step / nruns;
    summary.seconds += run.seconds / nruns;
    summary.replicas_agree = summary.replicas_agree && run.replicas_agree;
  }
  if (!entry.method.sendsSigns()) summary.bytes_per_step = summary.fp32_bytes_per_step;
  return summary;
}

void printHead(std::ostream& out, Sharding sharding) {
  out << (sharding == Sharding::kOwn ? "\nEach worker trains on its own part of the digits.\n"
                                     : "\nEach worker trains on all digits, in an order of its own.\n")
      << "workers  " << std::left << std::setw(kTitleWidth) << "method" << std::right
      << "  accuracy %  (low .. high)     loss   B/step  fp32/sent  s/run\n"
      << std::flush;
}

void printRow(std::ostream& out, const Entry& entry) {
  const Summary s = summarise(entry);
  const std::string mark = entry.method.sendsSigns() ? " " : "*";
  const std::string saving = s.bytes_per_step > 0 ? fixed(s.fp32_bytes_per_step / s.bytes_per_step, 1) : "-";
  out << std::setw(7) << entry.workers << "  " << std::left << std::setw(kTitleWidth) << entry.method.title()
      << std::right << std::setw(12) << fixed(100 * s.accuracy, 2) << "  (" << fixed(100 * s.lowest_accuracy, 2)
      << " .. " << fixed(100 * s.highest_accuracy, 2) << ')' << std::setw(9) << fixed(s.held_out_loss, 3)
      << std::setw(8) << fixed(s.bytes_per_step, 0) << mark << std::setw(9) << saving << std::setw(8)
      << fixed(s.seconds, 2) << '\n'
      << std::flush;
}

void printFoot(std::ostream& out, const std::vector<Entry>& entries) {
  std::size_t runs = 0;
  std::size_t agreeing = 0;
  for (const Entry& entry : entries) {
    runs += entry.runs.size();
    agreeing += static_cast<std::size_t>(std::ranges::count_if(entry.runs, &RunResult::replicas_agree));
  }
  out << "\naccuracy and loss: on digits held out, at the end of the run; mean, lowest and highest over the seeds\n"
         "B/step: bytes each worker sends per step, counted by SignCCL; fp32/sent: how many times fewer than an fp32 "
         "ring all-reduce\n"
         "* computed, not sent: an fp32 ring all-reduce of the gradient, 2(N-1)/N x 4 bytes per parameter\n"
      << "parameters bit-identical on all workers: " << agreeing << " of " << runs
      << " runs: " << (agreeing == runs ? "OK" : "FAILED") << '\n';
}

void writeCsv(const std::filesystem::path& directory, const std::vector<Entry>& entries) {
  std::filesystem::create_directories(directory);
  writeCurves(directory / "curves.csv", entries);
  writeSummary(directory / "summary.csv", entries);
}

}  // namespace digits
