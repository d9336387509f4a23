// HTTP exchanges: one request, one response, nothing followed and nothing retried. Plus the little of URLs that the
// Hub needs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "rialto/base/error.h"

namespace rialto::hub {

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case

  const std::string* find(std::string_view name) const;
  std::optional<uint64_t> number(std::string_view name) const;  ///< none when absent or no whole number
  bool is_redirect() const { return status >= 300 && status < 400 && find("location"); }
};

/// No whole response came: no such host, nobody answers, the connection broke. Another try may help.
class HttpFailure : public Error {
 public:
  using Error::Error;
};

enum class HttpMethod { kHead, kGet };

class HttpClient {
 public:
  /// Trusts the authorities of SSL_CERT_FILE or REQUESTS_CA_BUNDLE, else those of the system, else a compiled-in list.
  /// Throws kConfig when a file that the environment names is none.
  explicit HttpClient(const std::function<const char*(const char*)>& environment);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `on_head` sees status and headers before the body; `on_body` the body as it comes. Either returns false to end
  /// the exchange. What they throw comes out of here. Throws HttpFailure. Thread-safe; connections are reused.
  using OnHead = std::function<bool(const HttpResponse&)>;
  using OnBody = std::function<bool(std::span<const std::byte>)>;
  HttpResponse fetch(HttpMethod method, const std::string& url, const std::map<std::string, std::string>& headers,
                     const OnHead& on_head, const OnBody& on_body) const;

 private:
  void* handle_ = nullptr;
};

/// "https://host:8080" of a URL; "" when it is no http(s) URL.
std::string origin_of(std::string_view url);
/// Where a Location header leads that came with the answer to `url`.
std::string resolve_url(const std::string& url, const std::string& location);
/// Everything but letters, digits and "-._~" as %XX, and "/" too unless `keep_slashes`.
std::string percent_encode(std::string_view text, bool keep_slashes);

}  // namespace rialto::hub
