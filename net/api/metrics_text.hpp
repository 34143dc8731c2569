#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "actors/inspection.hpp"
#include "actors/metrics.hpp"
#include "net/http_response.hpp"

namespace greenroom::net {

/// One family of `/metrics`, as it is documented.
struct metric_family {
  std::string_view name;
  std::string_view type;   ///< `counter`, `gauge` or `histogram`
  std::string_view labels; ///< separated by commas; empty: none
  std::string_view help;   ///< one sentence
};

/// All of them, in the order in which they are written.
std::span<const metric_family> metric_families() noexcept;

/// The table of app/README.md.
std::string metrics_markdown();

/// Writes what the process counts in Prometheus' text format, version 0.0.4. Any
/// thread.
///
/// The number of series does not grow with what clients do: reasons are those of
/// `errc_table`, rooms those named at start, and all others are one series.
class metrics_text {
public:
  /// The `room` of all rooms that were not named at start. No room can be called
  /// so: names hold no slash.
  static constexpr std::string_view other_rooms = "/others";

  /// @param counts and @param inspect_counts (of the inspection listener) outlive
  /// this
  metrics_text(const metrics& counts, const metrics& inspect_counts)
    : counts_(counts), inspect_counts_(inspect_counts) {}

  /// Asks for the rooms named at start.
  static inspect_query rooms_query();

  /// @param now an `overview`
  /// @param rooms what `rooms_query` found
  http_response answer(const inspect_page& now, const inspect_page& rooms);

private:
  /// A counter that may begin anew, as that of a restarted room does, as one that
  /// only grows.
  struct growing {
    std::uint64_t base = 0;
    std::uint64_t last = 0;

    std::uint64_t at(std::uint64_t value);
  };

  struct room_counters {
    growing publications;
    growing deliveries;
    growing dropped;
    growing bytes_in;
    growing bytes_out;
    growing cpu_us;
  };

  class writer;

  void write_process(writer& to, const overview& now) const;
  void write_counts(writer& to) const;
  void write_rooms(writer& to, const overview& now, const inspect_page& rooms);

  const metrics& counts_;
  const metrics& inspect_counts_;
  std::mutex mutex_; // guards what follows
  std::map<std::string, room_counters, std::less<>> rooms_;
  // What the other rooms had, which must not shrink when a sample comes late.
  std::uint64_t other_publications_ = 0;
  std::uint64_t other_deliveries_ = 0;
  std::uint64_t other_dropped_ = 0;
};

} // namespace greenroom::net
