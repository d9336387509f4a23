// HTTP through the Rust library: callbacks, errors and exceptions at the language border.
#include "rialto/hub/http.h"

#include <charconv>
#include <exception>

#include <fmt/format.h>

#include "rialto/base/file_ops.h"
#include "rialto/base/version.h"
#include "rialto/hub/http_abi.h"
#include "rialto/hub/rust_bytes.h"

namespace rialto::hub {
namespace {

/// One exchange, as the callbacks see it.
struct Exchange {
  const HttpClient::OnHead& on_head;
  const HttpClient::OnBody& on_body;
  HttpResponse response;
  std::exception_ptr thrown;
};

extern "C" int32_t take_head(void* user, uint16_t status, const uint8_t* headers, size_t len) {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    exchange.response.status = status;
    std::string_view rest(reinterpret_cast<const char*>(headers), len);
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      if (const size_t colon = line.find(": "); colon != line.npos)
        exchange.response.headers.emplace(line.substr(0, colon), line.substr(colon + 2));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return exchange.on_head(exchange.response) ? 0 : -1;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return -1;
  }
}

extern "C" int32_t take_body(void* user, const uint8_t* data, size_t len) {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    return exchange.on_body(std::as_bytes(std::span(data, len))) ? 0 : -1;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return -1;
  }
}

/// The PEM file of trusted authorities and its name; both empty where there is none.
std::pair<std::string, std::string> authorities(const std::function<const char*(const char*)>& environment) {
  constexpr uint64_t kMaxBytes = 16u << 20;
  for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})
    if (const char* path = environment(name); path && *path) return {read_text_file(path, kMaxBytes), path};
  for (const char* path :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"})
    if (std::error_code ignored; fs::is_regular_file(path, ignored)) return {read_text_file(path, kMaxBytes), path};
  return {};
}

}  // namespace

const std::string* HttpResponse::find(std::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? nullptr : &found->second;
}

std::optional<uint64_t> HttpResponse::number(std::string_view name) const {
  const std::string* text = find(name);
  uint64_t value = 0;
  if (!text) return std::nullopt;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (code != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return value;
}

HttpClient::HttpClient(const std::function<const char*(const char*)>& environment) {
  const std::string agent = fmt::format("rialto/{}", version());
  const auto [pem, path] = authorities(environment);
  OwnedBytes error;
  if (rialto_http_new(bytes_of(agent), agent.size(), bytes_of(pem), pem.size(), &handle_, &error.bytes) != 0)
    throw Error(ErrorKind::kConfig, path, "cannot be used as trusted certificates: " + error.text());
}

HttpClient::~HttpClient() { rialto_http_free(handle_); }

HttpResponse HttpClient::fetch(HttpMethod method, const std::string& url,
                               const std::map<std::string, std::string>& headers, const OnHead& on_head,
                               const OnBody& on_body) const {
  std::string lines;
  for (const auto& [name, value] : headers) lines += fmt::format("{}: {}\n", name, value);
  Exchange exchange{on_head, on_body, {}, nullptr};
  OwnedBytes error;
  const int32_t status =
      rialto_http_fetch(handle_, method == HttpMethod::kHead, bytes_of(url), url.size(), bytes_of(lines), lines.size(),
                        &take_head, &take_body, &exchange, &error.bytes);
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  // Signed URLs carry secrets behind the "?": they are not for error messages.
  if (status == 1) throw HttpFailure(ErrorKind::kIo, url.substr(0, url.find('?')), "no answer: " + error.text());
  return exchange.response;
}

std::string origin_of(std::string_view url) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!url.starts_with(scheme)) continue;
    return std::string(url.substr(0, std::min(url.find_first_of("/?#", scheme.size()), url.size())));
  }
  return {};
}

std::string resolve_url(const std::string& url, const std::string& location) {
  if (location.find("://") < location.find_first_of("/?#")) return location;
  if (location.starts_with("//")) return url.substr(0, url.find("//")) + location;
  if (location.starts_with("/")) return origin_of(url) + location;
  return url.substr(0, url.rfind('/', url.find('?')) + 1) + location;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace rialto::hub
