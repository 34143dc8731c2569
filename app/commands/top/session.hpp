#pragma once

#include <string>
#include <vector>

#include "app/commands/client/socket.hpp"
#include "app/commands/client/url.hpp"
#include "app/commands/top/model.hpp"

namespace greenroom::client {

/// Where the inspection API is, and by what right.
struct top_target {
  url to; ///< its target is what stands before `/inspect`
  std::vector<endpoint> endpoints;
  std::string token; ///< empty: none
};

/// A GET, or a POST of a JSON object.
std::string request_of(const top_target& where, const std::string& target,
                       const std::string& body = {});

/// Asks for some pages at once and waits for all of them.
/// @returns their bodies, or a fault whose detail is for the user
result<std::vector<std::string>> ask_once(
  const top_target& where, const std::vector<std::string>& targets);

/// Shows it on the terminal until the user leaves. A signal that ends programs ends
/// this one, too, by itself, when the terminal is as it was.
/// @param signals a signalfd for SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH
/// @returns exit status
/// @throws std::system_error if there is no terminal
int run_top(top_model& what, const top_target& where, int signals);

} // namespace greenroom::client
