// Child processes of the tests, with the shell as the child.

#include "test/support/proc_stat.hpp"
#include "test/support/process.hpp"

#include <csignal>
#include <system_error>

#include <gtest/gtest.h>
#include <unistd.h>

using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

process_options shell(std::string script) {
  return {.argv = {"sh", "-c", std::move(script)}};
}

} // namespace

TEST(ProcessTest, OutputAndExitAreSeen) {
  process child{shell("echo one; echo two >&2; printf 'no newline'; exit 3")};
  EXPECT_EQ(child.wait_exit(), (exit_status{3, 0}));
  EXPECT_EQ(child.text(output::out), "one\nno newline\n");
  EXPECT_EQ(child.text(output::err), "two\n");
  EXPECT_FALSE(child.running());
}

TEST(ProcessTest, ThePortIsFoundInALine) {
  process child{
    shell("echo starting; echo '{\"on\":\"127.0.0.1:4711\"}'; exec sleep 60")};
  EXPECT_EQ(child.wait_port(), 4711);
}

TEST(ProcessTest, LinesAreSearchedFromAPlace) {
  process child{shell("echo a 1; echo b; echo a 2; exec sleep 60")};
  auto first = child.wait_line("a (\\d)");
  EXPECT_EQ(first.groups.at(1), "1");
  auto second = child.wait_line("a (\\d)", 10s, first.next);
  EXPECT_EQ(second.groups.at(1), "2");
  EXPECT_THROW(child.wait_line("a (\\d)", 20ms, second.next), timeout_error);
}

TEST(ProcessTest, AnEarlyDeathEndsTheWait) {
  process child{shell("echo cannot bind; exit 1")};
  try {
    child.wait_port(10s);
    FAIL() << "a port was found";
  } catch (const timeout_error&) {
    FAIL() << "waited to the deadline";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string{error.what()}.find("cannot bind"), std::string::npos);
  }
}

TEST(ProcessTest, SignalsArriveAndAreTold) {
  process child{shell("echo ready; exec sleep 60")};
  child.wait_line("ready");
  EXPECT_TRUE(child.running());
  EXPECT_THROW(child.wait_exit(20ms), timeout_error);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait_exit(), (exit_status{-1, SIGTERM}));
}

TEST(ProcessTest, EnvironmentDirectoryAndLimitsAreSet) {
  auto options = shell("echo $GREENROOM_X:$(pwd):$(ulimit -n):$(ulimit -Hn)");
  options.env = {"GREENROOM_X=1"};
  options.directory = "/";
  options.files_max = 77;
  process child{options};
  child.wait_exit();
  EXPECT_EQ(child.text(output::out), "1:/:77:77\n");
}

TEST(ProcessTest, AStreamCanBeLeftUnreadAndReadLater) {
  auto options = shell("head -c 20000 /dev/zero | tr '\\0' x; echo; "
                       "echo done >&2");
  options.out = capture::unread;
  process child{options};
  EXPECT_THROW(child.wait_line("done", 50ms), timeout_error);
  child.start_reading(output::out);
  child.wait_line("done");
  child.wait_exit();
  EXPECT_EQ(child.text(output::out), std::string(20000, 'x') + "\n");
}

TEST(ProcessTest, AnUnreadStreamCanBeClosed) {
  auto options = shell("exec yes");
  options.out = capture::unread;
  process child{options};
  child.close_unread(output::out);
  EXPECT_EQ(child.wait_exit(), (exit_status{-1, SIGPIPE}));
}

TEST(ProcessTest, AProgramThatIsNotThereIsAnError) {
  EXPECT_THROW(process{{.argv = {"/no/such/program"}}}, std::system_error);
}

TEST(ProcStatTest, OurOwnProcessIsDescribed) {
  auto before = read_proc_stat(::getpid());
  EXPECT_GT(before.rss, 100'000u);
  EXPECT_GE(before.rss, before.pss);
  EXPECT_GE(before.rss, before.anonymous);
  EXPECT_GE(before.threads, 1u);
  EXPECT_EQ(before.fds, count_fds(::getpid()));
  process child{{.argv = {"cat", "/dev/zero"}, .out = capture::unread}};
  EXPECT_GT(count_fds(::getpid()), before.fds);
  EXPECT_EQ(read_proc_stat(child.pid()).threads, 1u);
  EXPECT_THROW(read_proc_stat(-1), std::runtime_error);
}
