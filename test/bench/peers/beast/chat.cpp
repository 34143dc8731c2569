// Rooms on Boost.Beast as its own chat example has them: a map of rooms behind a
// mutex, a strand and a queue for each session, one write at a time, the message
// shared. No actors, no joining of writes: what Greenroom adds to Beast is the
// difference to this.
//
//   chat PORT [THREADS]

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using error = boost::system::error_code;

struct message {
  std::string bytes;
  bool binary;
};

using message_ptr = std::shared_ptr<const message>;

class session;

class rooms {
public:
  void join(const std::string& name, session* who) {
    std::lock_guard guard{mutex_};
    members_[name].insert(who);
  }

  void leave(const std::string& name, session* who) {
    std::lock_guard guard{mutex_};
    auto found = members_.find(name);
    if (found == members_.end())
      return;
    found->second.erase(who);
    if (found->second.empty())
      members_.erase(found);
  }

  void publish(const std::string& name, const message_ptr& what);

private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::unordered_set<session*>> members_;
};

class session : public std::enable_shared_from_this<session> {
public:
  session(tcp::socket socket, rooms& all)
    : stream_(std::move(socket)), rooms_(all) {}

  ~session() {
    if (!room_.empty())
      rooms_.leave(room_, this);
  }

  void start() {
    http::async_read(
      stream_.next_layer(), in_, request_,
      beast::bind_front_handler(&session::on_request, shared_from_this()));
  }

  /// From any thread.
  void send(message_ptr what) {
    asio::post(stream_.get_executor(),
               [self = shared_from_this(), what = std::move(what)]() mutable {
                 self->queue_.push_back(std::move(what));
                 if (self->queue_.size() == 1)
                   self->write();
               });
  }

private:
  void on_request(error failed, std::size_t) {
    if (failed || !websocket::is_upgrade(request_))
      return;
    stream_.read_message_max(1024 * 1024);
    stream_.async_accept(request_, beast::bind_front_handler(
                                     &session::on_accept, shared_from_this()));
  }

  void on_accept(error failed) {
    if (failed)
      return;
    room_ = std::string{request_.target()};
    request_ = {};
    rooms_.join(room_, this);
    read();
  }

  void read() {
    stream_.async_read(
      in_, beast::bind_front_handler(&session::on_message, shared_from_this()));
  }

  void on_message(error failed, std::size_t) {
    if (failed)
      return;
    rooms_.publish(
      room_, std::make_shared<message>(message{
               beast::buffers_to_string(in_.data()), stream_.got_binary()}));
    in_.clear();
    read();
  }

  void write() {
    stream_.binary(queue_.front()->binary);
    stream_.async_write(
      asio::buffer(queue_.front()->bytes),
      beast::bind_front_handler(&session::on_written, shared_from_this()));
  }

  void on_written(error failed, std::size_t) {
    if (failed)
      return;
    queue_.pop_front();
    if (!queue_.empty())
      write();
  }

  websocket::stream<beast::tcp_stream> stream_;
  rooms& rooms_;
  std::string room_;
  beast::flat_buffer in_;
  http::request<http::empty_body> request_;
  std::deque<message_ptr> queue_;
};

void rooms::publish(const std::string& name, const message_ptr& what) {
  // Sent outside the lock, to those that are still there by then.
  std::vector<std::weak_ptr<session>> all;
  {
    std::lock_guard guard{mutex_};
    auto found = members_.find(name);
    if (found == members_.end())
      return;
    all.reserve(found->second.size());
    for (auto* who : found->second)
      all.push_back(who->weak_from_this());
  }
  for (auto& weak : all)
    if (auto who = weak.lock())
      who->send(what);
}

void accept(asio::io_context& io, tcp::acceptor& from, rooms& all) {
  from.async_accept(asio::make_strand(io), [&](error failed, tcp::socket peer) {
    if (!failed) {
      peer.set_option(tcp::no_delay{true});
      auto executor = peer.get_executor();
      auto who = std::make_shared<session>(std::move(peer), all);
      asio::dispatch(executor, [who] { who->start(); });
    }
    accept(io, from, all);
  });
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 2)
    return 2;
  auto port = static_cast<unsigned short>(std::atoi(argv[1]));
  auto threads = argc > 2 ? std::atoi(argv[2]) : 1;
  asio::io_context io{threads};
  rooms all;
  tcp::acceptor listener{io, {asio::ip::address_v4::loopback(), port}};
  listener.listen(4096);
  accept(io, listener, all);
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i)
    others.emplace_back([&io] { io.run(); });
  io.run();
  for (auto& x : others)
    x.join();
}
