#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

namespace greenroom::client {

/// Every field of a row, a line each, under a heading.
std::vector<std::string> details_of(const boost::json::object& row,
                                    const std::string& heading, bool ascii);

/// What an end has released and left behind.
std::vector<std::string> receipt_of(const boost::json::object& receipt,
                                    const std::string& heading, bool ascii);

/// Every key.
std::vector<std::string> top_help();

} // namespace greenroom::client
