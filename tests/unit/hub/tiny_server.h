// An HTTP server for one test: each request gets what a function answers, on a connection of its own.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rialto::hub {

struct TinyRequest {
  std::string method, path;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string header(const std::string& name) const { return headers.contains(name) ? headers.at(name) : ""; }
};

class TinyServer {
 public:
  /// `answer` gives the whole response, status line and headers included.
  using Answer = std::function<std::string(const TinyRequest&)>;

  explicit TinyServer(Answer answer) : answer_(std::move(answer)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, 16) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no server");
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~TinyServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  TinyServer(const TinyServer&) = delete;
  TinyServer& operator=(const TinyServer&) = delete;

  const std::string& url() const { return url_; }
  std::vector<TinyRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  /// A response with these headers ("Name: value\r\n" each) and the length of `body`.
  static std::string reply(const std::string& status, const std::string& headers, const std::string& body) {
    return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

 private:
  void serve() {
    for (int peer; (peer = ::accept(socket_, nullptr, nullptr)) >= 0; ::close(peer)) {
      std::string text;
      for (char block[4096]; text.find("\r\n\r\n") == text.npos;) {
        const ssize_t n = ::recv(peer, block, sizeof block, 0);
        if (n <= 0) break;
        text.append(block, static_cast<size_t>(n));
      }
      const TinyRequest request = parse(text);
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      std::string out = answer_(request);
      if (request.method == "HEAD") out.resize(out.find("\r\n\r\n") + 4);
      for (size_t at = 0; at < out.size();) {
        const ssize_t n = ::send(peer, out.data() + at, out.size() - at, MSG_NOSIGNAL);
        if (n <= 0) break;
        at += static_cast<size_t>(n);
      }
    }
  }

  static TinyRequest parse(const std::string& text) {
    TinyRequest request;
    const size_t space = text.find(' '), second = text.find(' ', space + 1);
    request.method = text.substr(0, space);
    request.path = text.substr(space + 1, second - space - 1);
    for (size_t at = text.find("\r\n"); at != text.npos && at + 2 < text.size();) {
      const size_t end = text.find("\r\n", at + 2), colon = text.find(": ", at + 2);
      if (end == text.npos || colon == text.npos || colon > end) break;
      std::string name = text.substr(at + 2, colon - at - 2);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      request.headers[name] = text.substr(colon + 2, end - colon - 2);
      at = end;
    }
    return request;
  }

  Answer answer_;
  int socket_ = -1;
  std::string url_;
  mutable std::mutex mutex_;
  std::vector<TinyRequest> requests_;
  std::thread thread_;
};

}  // namespace rialto::hub
