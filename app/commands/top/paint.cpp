#include "app/commands/top/paint.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "app/commands/top/views.hpp"

namespace greenroom::client {

namespace {

using style = top_style;

constexpr std::int64_t late_ms = 1000;
constexpr std::int64_t very_late_ms = 5000;

/// The SGR parameters (ECMA-48 §8.3.117).
std::string_view sgr(style x, bool colours) {
  switch (x) {
    case style::plain:
      return "0";
    case style::bold:
      return "0;1";
    case style::faint:
      return "0;2";
    case style::bar:
      return "0;7";
    case style::good:
      return colours ? "0;32" : "0";
    case style::warn:
      return colours ? "0;33" : "0;1";
    case style::bad:
      return colours ? "0;1;31" : "0;1";
  }
  return "0";
}

// -- columns --------------------------------------------------------------------------

struct placed {
  const top_column* column;
  std::size_t at;
  std::size_t width;
};

/// The columns that fit, in their order, and where.
std::vector<placed> place(std::span<const top_column> columns,
                          std::size_t width) {
  std::vector<placed> result;
  std::size_t used = 0;
  for (const auto& x : columns) {
    auto wide = std::max(x.width == 0 ? top_column::flexible_min : x.width,
                         x.title.size());
    if (used + wide > width)
      break;
    result.push_back({&x, 0, wide});
    used += wide + 1;
  }
  // What is left goes to the one that takes all it gets.
  auto left = width + 1 > used ? width + 1 - used : 0;
  std::size_t at = 0;
  for (auto& x : result) {
    if (x.column->width == 0)
      x.width += left;
    x.at = at;
    at += x.width + 1;
  }
  return result;
}

std::string aligned(const top_column& column, std::string text,
                    std::size_t width) {
  text = cut(text, width);
  auto pad = std::string(width - columns_of(text), ' ');
  return column.kind == top_kind::text ? text + pad : pad + text;
}

style style_of(const top_column& column, const boost::json::object& row) {
  auto x = number_of(row, column.field);
  if (column.field == "lag_ms")
    return x >= very_late_ms ? style::bad
           : x >= late_ms    ? style::warn
                             : style::plain;
  if ((column.field == "drops" || column.field == "dropped"
       || column.field == "restarts")
      && x > 0)
    return style::warn;
  if (column.field == "state" && text_of(row, "state") == "running")
    return style::good;
  return style::plain;
}

std::string indented(const top_line& line, const top_column& column,
                     const boost::json::object& row, bool ascii) {
  auto text = cell_of(row, column, ascii);
  return column.field == "name"
           ? std::string(static_cast<std::size_t>(line.level) * 2, ' ') + text
           : text;
}

// -- lines ------------------------------------------------------------------------------

/// Keeps a line within its width.
class line_maker {
public:
  explicit line_maker(std::size_t width) : width_(width) {}

  line_maker& add(std::string_view text, style x = style::plain) {
    put(at_, text, x);
    return *this;
  }

  void put(std::size_t column, std::string_view text, style x) {
    if (column >= width_)
      return;
    auto shown = cut(text, width_ - column);
    at_ = column + columns_of(shown);
    if (!shown.empty())
      spans_.push_back({column, std::move(shown), x});
  }

  std::size_t at() const { return at_; }

  top_row take() { return std::move(spans_); }

private:
  std::size_t width_;
  std::size_t at_ = 0;
  top_row spans_;
};

std::string rate_of(double x) {
  return x < 10 ? fmt::format("{:.1f}", x)
                : short_of(top_kind::count, static_cast<std::int64_t>(x));
}

std::vector<top_row> heading(const top_model& what, std::size_t width,
                             std::string_view from) {
  const auto& now = what.figures();
  std::vector<top_row> result;
  line_maker first{width};
  first.add("greenroom ", style::bold);
  if (now.known())
    first.add(tame(now.text("version"), what.ascii()) + "  ");
  first.add(from).add("  ");
  if (!what.troubled().empty())
    first.add(what.troubled(), style::bad);
  else if (what.paused())
    first.add("paused", style::warn);
  else if (now.known())
    first.add(fmt::format(
      "up {}  {}", short_of(top_kind::ms, now["now_at"] - now["started_at"]),
      short_of(top_kind::at, now["now_at"])));
  else
    first.add("asking");
  result.push_back(first.take());
  line_maker second{width};
  line_maker third{width};
  if (now.known()) {
    auto figure = [&](line_maker& to, std::string_view title,
                      const std::string& value, style x = style::bold) {
      if (to.at() > 0)
        to.add("  ");
      to.add(title, style::faint).add(" ").add(value, x);
    };
    auto count = [&](std::string_view field) {
      return short_of(top_kind::count, now[field]);
    };
    figure(second, "connections", count("connections"));
    figure(second, "rooms", count("rooms"));
    figure(second, "members", count("memberships"));
    figure(second, "queued", short_of(top_kind::bytes, now["bytes_queued"]));
    figure(second, "memory", short_of(top_kind::bytes, now["memory_bytes"]));
    figure(second, "cpu", fmt::format("{:.0f}%", now.rate("cpu_us") / 10'000));
    figure(third, "published", rate_of(now.rate("publications")) + "/s");
    figure(third, "delivered", rate_of(now.rate("deliveries")) + "/s");
    figure(third, "out",
           short_of(top_kind::bytes,
                    static_cast<std::int64_t>(now.rate("bytes_out")))
             + "/s");
    figure(third, "p50", short_of(top_kind::us, now["latency_p50_us"]));
    figure(third, "p99", short_of(top_kind::us, now["latency_p99_us"]));
    auto faults = now["crashes"] + now["audit_faults"];
    figure(third, "faults", short_of(top_kind::count, faults),
           faults > 0 ? style::bad : style::bold);
  }
  result.push_back(second.take());
  result.push_back(third.take());
  return result;
}

/// The views, and where in the list we are.
top_row tabs(const top_model& what, std::size_t width) {
  line_maker line{width};
  auto tables = top_tables();
  for (std::size_t i = 0; i < tables.size(); ++i) {
    auto text = fmt::format("{}{} ", i + 1, tables[i].name);
    line.add(text.substr(0, text.size() - 1),
             i == what.table() ? style::bar : style::faint);
    line.add(" ");
  }
  const auto& list = what.list();
  auto size = list.size();
  auto shown = std::min(size - std::min(size, list.top()), list.height());
  auto where = size == 0 ? std::string{}
                         : fmt::format("{}-{}/{}", list.top() + 1,
                                       list.top() + shown, size);
  auto text =
    fmt::format("{} {} {}", what.sort(), what.descending() ? "v" : "^", where);
  if (!what.searched().empty())
    text = fmt::format("'{}' {}", cut(tame(what.searched(), what.ascii()), 16),
                       text);
  for (const auto& x : {text, where}) // the rest where there is room for it
    if (line.at() + columns_of(x) <= width) {
      line.put(width - columns_of(x), x, style::plain);
      break;
    }
  return line.take();
}

top_row titles(const std::vector<placed>& columns, std::string_view sort,
               std::size_t width) {
  line_maker line{width};
  line.put(0, std::string(width, ' '), style::bar);
  for (const auto& x : columns) {
    auto title = aligned(*x.column, std::string{x.column->title}, x.width);
    line.put(x.at, title, style::bar);
    if (x.column->field == sort) { // as text, for those who see no colours
      auto begin = title.find(x.column->title);
      if (begin > 0)
        line.put(x.at + begin - 1, "*", style::bar);
    }
  }
  return line.take();
}

top_row list_line(const top_model& what, std::size_t index,
                  const std::vector<placed>& columns, std::size_t width) {
  line_maker line{width};
  auto entry = what.list().at(index);
  auto chosen = index == what.list().cursor();
  if (chosen)
    line.put(0, std::string(width, ' '), style::bar);
  auto tint = [&](style x) { return chosen ? style::bar : x; };
  auto indent = std::string(static_cast<std::size_t>(entry.level) * 2, ' ');
  if (entry.is == top_line::what::title) {
    const auto& section = what.list().sections()[entry.section];
    line.put(0,
             fmt::format("{}{} {} {}", indent, section.open ? '-' : '+',
                         section.title, section.total),
             tint(style::bold));
  } else if (entry.row == nullptr) {
    line.put(0, indent + "...", tint(style::faint));
  } else {
    for (const auto& x : columns)
      line.put(x.at,
               aligned(*x.column,
                       indented(entry, *x.column, *entry.row, what.ascii()),
                       x.width),
               tint(style_of(*x.column, *entry.row)));
  }
  return line.take();
}

top_row footer(const top_model& what, std::size_t width) {
  line_maker line{width};
  switch (what.showing()) {
    case top_model::mode::search:
      line.add("Search: ", style::bold)
        .add(tame(what.typed(), what.ascii()))
        .add("_")
        .add("   Enter finds, Esc leaves", style::faint);
      break;
    case top_model::mode::confirm:
      line.add(what.act().words + "? ", style::bad)
        .add("y: yes, any other key: no", style::bold);
      break;
    case top_model::mode::panel:
      line.add("Up Down scroll, any other key goes back", style::faint);
      break;
    case top_model::mode::list:
      if (!what.said().empty())
        line.add(what.said(), style::warn);
      else
        line.add("Tab view  <> sort  r reverse  / search  Enter details  "
                 "x end  ? help  q quit",
                 style::faint);
      break;
  }
  return line.take();
}

} // namespace

std::vector<top_row> draw(const top_model& what, top_size on,
                          std::string_view from) {
  constexpr top_size least{top_frame_lines + 2, 40};
  if (on.rows < least.rows || on.columns < least.columns) {
    line_maker line{on.columns};
    line.add(fmt::format("too small: {}x{}", least.columns, least.rows));
    return {line.take()};
  }
  auto screen = heading(what, on.columns, from);
  screen.push_back(tabs(what, on.columns));
  auto lines = on.rows - top_frame_lines;
  if (what.showing() == top_model::mode::panel) {
    screen.emplace_back();
    for (std::size_t i = 0; i < lines; ++i) {
      line_maker line{on.columns};
      auto at = what.panel_top() + i;
      if (at < what.panel().size())
        line.add(what.panel()[at], at == 0 ? style::bold : style::plain);
      screen.push_back(line.take());
    }
  } else {
    auto columns = place(top_tables()[what.table()].columns, on.columns);
    screen.push_back(titles(columns, what.sort(), on.columns));
    for (std::size_t i = 0; i < lines; ++i) {
      auto index = what.list().top() + i;
      screen.push_back(index < what.list().size()
                         ? list_line(what, index, columns, on.columns)
                         : top_row{});
    }
    if (what.list().size() == 0 && what.figures().known())
      screen[top_frame_lines - 1] = {
        {2, what.searched().empty() ? "nothing here" : "nothing fits",
         style::faint}};
  }
  screen.push_back(footer(what, on.columns));
  return screen;
}

std::string top_painter::paint(std::vector<top_row> screen, top_size on) {
  std::string out;
  if (on != size_ || before_.empty()) {
    out += "\x1b[0m\x1b[2J";
    before_.assign(on.rows, {});
    size_ = on;
  }
  screen.resize(on.rows);
  for (std::size_t i = 0; i < screen.size(); ++i) {
    if (screen[i] == before_[i])
      continue;
    out += fmt::format("\x1b[{};1H\x1b[0m\x1b[2K", i + 1);
    for (const auto& x : screen[i])
      out += fmt::format("\x1b[{};{}H\x1b[{}m{}", i + 1, x.column + 1,
                         sgr(x.style, colours_), x.text);
  }
  if (!out.empty())
    out += "\x1b[0m";
  before_ = std::move(screen);
  return out;
}

std::string plain_table(const top_model& what) {
  auto columns = top_tables()[what.table()].columns;
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& x : columns)
    rows.front().emplace_back(x.title);
  for (std::size_t i = 0; i < what.list().size(); ++i) {
    auto line = what.list().at(i);
    if (line.is == top_line::what::title) {
      const auto& section = what.list().sections()[line.section];
      rows.push_back({fmt::format("  {} {}", section.title, section.total)});
    }
    if (line.row == nullptr)
      continue; // behind the rows that were asked for
    rows.emplace_back();
    for (const auto& x : columns)
      rows.back().push_back(indented(line, x, *line.row, what.ascii()));
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  std::string result;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += aligned(columns[i], row[i], widths[i]) + "  ";
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + '\n';
  }
  return result;
}

} // namespace greenroom::client
