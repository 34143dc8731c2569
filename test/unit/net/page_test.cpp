#include "net/api/page.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <string>

#include "net/routes.hpp"

using namespace greenroom;
using namespace greenroom::net;

namespace {

struct no_desk : front_desk {
  void place(std::string, std::function<void(unit_id)>) override {}

  std::unique_ptr<socket_sink> open(unit_id, std::shared_ptr<socket_port>,
                                    upgrade) override {
    return nullptr;
  }

  bool ready() const noexcept override { return true; }
};

bool inside(std::string_view path) {
  return path == "/inspect" || path.starts_with("/inspect/");
}

http_response get(std::string_view path, std::span<const route> from) {
  http_request in;
  in.method = "GET";
  auto target = parse_target(path);
  auto way = find_way(in, *target, 255, from);
  if (way.refusal != errc::none)
    return refusal(way.refusal);
  return way.to->answer({in, *target, no_desk{}});
}

// From the listener where it belongs.
http_response get(std::string_view path) {
  return get(path, inside(path) ? inspect_routes() : routes());
}

} // namespace

TEST(PageTest, EveryPageIsServedAsItIs) {
  EXPECT_FALSE(pages().empty());
  for (auto& x : pages()) {
    auto answer = get(x.path);
    EXPECT_EQ(answer.status, 200u) << x.path;
    EXPECT_EQ(answer.content_type, x.type);
    EXPECT_EQ(answer.body, x.bytes);
    EXPECT_FALSE(answer.body.empty());
  }
}

TEST(PageTest, EveryRouteToAPageHasOne) {
  for (auto all : {routes(), inspect_routes()})
    for (auto& x : all)
      if (x.answer == &answer_page) {
        EXPECT_EQ(get(x.path).status, 200u) << x.path;
        EXPECT_EQ(x.needs == right::page, inside(x.path)) << x.path;
      }
}

TEST(PageTest, ThePagesThatLookInsideAreElsewhere) {
  for (auto& x : pages())
    EXPECT_EQ(get(x.path, inside(x.path) ? routes() : inspect_routes()).status,
              404u)
      << x.path;
}

TEST(PageTest, TheFirstPageNamesOnlyWhatIsThere) {
  auto home = get("/");
  EXPECT_EQ(home.content_type, "text/html; charset=utf-8");
  const std::regex file{R"re((?:src|href)="([^"]*)")re"};
  std::size_t files = 0;
  for (std::sregex_iterator i{home.body.begin(), home.body.end(), file}, end;
       i != end; ++i) {
    auto name = (*i)[1].str();
    if (name.starts_with("data:"))
      continue;
    ++files;
    EXPECT_EQ(get("/" + name).status, 200u) << name;
  }
  auto all = pages();
  EXPECT_EQ(files,
            static_cast<std::size_t>(std::count_if(
              all.begin(), all.end(), [](auto& x) { return !inside(x.path); }))
              - 1);
}

TEST(PageTest, APageMayLoadNothingFromElsewhere) {
  for (auto& x : pages()) {
    auto fields = get(x.path).fields;
    EXPECT_NE(fields.find("Content-Security-Policy: default-src 'none';"),
              std::string::npos);
    EXPECT_EQ(fields.find("unsafe"), std::string::npos);
    EXPECT_TRUE(fields.ends_with("\r\n"));
  }
}
