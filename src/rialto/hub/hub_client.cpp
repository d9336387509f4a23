// Source of paths, headers and error codes: huggingface_hub hf_api.py, file_download.py, utils/_http.py.
#include "rialto/hub/hub_client.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/json.h"

namespace rialto::hub {
namespace {

constexpr int kMaxRedirects = 8;
constexpr size_t kMaxAnswerBytes = 64u << 20;

/// W/"abc" or "abc" -> abc.
std::string bare_etag(std::string_view text) {
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

/// Blobs are named by it: a plain file name.
bool is_plain(const std::string& etag) {
  return !etag.empty() && etag.size() <= 200 && etag.front() != '.' &&
         std::all_of(etag.begin(), etag.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
                  c == '.';
         });
}

std::string text_of(const HttpResponse& response, const char* header) {
  const std::string* value = response.find(header);
  return value ? *value : "";
}

}  // namespace

bool RemoteFile::has_sha256() const {
  return etag.size() == 64 && etag.find_first_not_of("0123456789abcdef") == etag.npos;
}

HubClient::HubClient(const HubSettings& settings, const Environment& environment, HubId id)
    : settings_(settings), id_(std::move(id)), http_(environment) {}

HttpResponse HubClient::follow(HttpMethod method, std::string url, std::map<std::string, std::string> headers,
                               const HttpClient::OnHead& on_head, const HttpClient::OnBody& on_body) const {
  const std::string home = origin_of(settings_.endpoint);
  for (int i = 0; i < kMaxRedirects; ++i) {
    headers.erase("authorization");
    if (settings_.token && origin_of(url) == home) headers["authorization"] = "Bearer " + *settings_.token;
    // What a large file is called stands in the endpoint's own answer, not in that of the host it redirects to.
    const auto leads_on = [&](const HttpResponse& response) {
      return response.is_redirect() && (method == HttpMethod::kGet || !response.find("x-linked-etag"));
    };
    bool final = false;
    HttpResponse response = http_.fetch(
        method, url, headers,
        [&](const HttpResponse& head) {
          final = !leads_on(head);
          return !final || on_head(head);
        },
        [&](std::span<const std::byte> bytes) { return !final || on_body(bytes); });
    if (final) return response;
    const std::string next = resolve_url(url, *response.find("location"));
    if (origin_of(next).empty() || (url.starts_with("https://") && !next.starts_with("https://")))
      throw Error(ErrorKind::kInput, id_.repository(), "the server redirects to something that is no https address");
    url = next;
  }
  throw Error(ErrorKind::kInput, id_.repository(), "the server redirects without end");
}

void HubClient::refuse(const HttpResponse& response, const std::string& what, const std::string& revision) const {
  const std::string code = text_of(response, "x-error-code"), message = text_of(response, "x-error-message");
  const std::string page = settings_.endpoint + "/" + id_.repository();
  const auto input = [&](std::string_view text, std::string hint) {
    return Error(ErrorKind::kInput, id_.repository(), text, {.hint = std::move(hint)});
  };
  const int status = response.status;
  if (code == "GatedRepo")
    throw settings_.token ? input("is gated, and the token's account has no access to it", "ask for access on " + page)
                          : input("is gated", fmt::format("accept its licence on {} and set HF_TOKEN", page));
  if (code == "RevisionNotFound")
    throw input(fmt::format("has no revision '{}'", revision), "its branches and tags are listed on " + page);
  if (code == "EntryNotFound") throw input(fmt::format("has no {}", what), "");
  if (status == 401 && settings_.token && message.find("nvalid") != message.npos)
    throw input("the server does not accept the token", "set HF_TOKEN to a valid one, or unset it");
  if (code == "RepoNotFound" || status == 401 || status == 404)
    throw input(
        fmt::format("there is no such folder here, and no such model on {}, or it is private", settings_.endpoint),
        settings_.token ? "check the name, and that the token may read it"
                        : "check the name; a private model needs HF_TOKEN");
  if (status == 403)
    throw input(fmt::format("access is forbidden{}{}", message.empty() ? "" : ": ", message),
                "check what the token may do");
  const std::string text =
      fmt::format("{}: the server answers with status {}{}{}", what, status, message.empty() ? "" : ": ", message);
  if (status == 408 || status == 429 || status >= 500)
    throw HttpFailure(ErrorKind::kIo, id_.repository(), text,
                      {.hint = status == 429 ? "too many requests: set HF_TOKEN, or wait a while" : "try again later"});
  throw input(text, "is HF_ENDPOINT right?");
}

RepositoryListing HubClient::list(const std::string& revision) const {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}", settings_.endpoint, id_.repository(),
                                      percent_encode(revision, false));
  std::string body;
  const HttpResponse response = follow(
      HttpMethod::kGet, url, {}, [](const HttpResponse&) { return true; },
      [&](std::span<const std::byte> bytes) {
        body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return body.size() <= kMaxAnswerBytes;
      });
  if (response.status != 200) refuse(response, "its list of files", revision);
  const Json json = parse_json(body, url);
  RepositoryListing listing;
  if (const auto sha = json.is_object() ? json.find("sha") : json.end(); json.is_object() && sha != json.end())
    if (sha->is_string()) listing.commit = sha->get<std::string>();
  const bool listed = json.is_object() && json.contains("siblings") && json.at("siblings").is_array();
  if (!is_commit(listing.commit) || !listed)
    throw Error(ErrorKind::kInput, url, "the answer names no commit and files", {.hint = "is HF_ENDPOINT right?"});
  for (const Json& file : json.at("siblings"))
    if (file.is_object() && file.contains("rfilename") && file.at("rfilename").is_string())
      listing.files.push_back(file.at("rfilename").get<std::string>());
  return listing;
}

RemoteFile HubClient::describe(const std::string& commit, const std::string& file) const {
  RemoteFile remote;
  remote.name = file;
  remote.url =
      fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, id_.repository(), commit, percent_encode(file, true));
  const HttpResponse response = follow(
      HttpMethod::kHead, remote.url, {}, [](const HttpResponse&) { return true; },
      [](std::span<const std::byte>) { return false; });
  if (response.status != 200 && !response.is_redirect()) refuse(response, file, commit);
  const std::string* etag = response.find("x-linked-etag");
  if (!etag) etag = response.find("etag");
  if (etag) remote.etag = bare_etag(*etag);
  if (!is_plain(remote.etag))
    throw Error(ErrorKind::kInput, remote.url, "the answer has no usable ETag", {.hint = "is HF_ENDPOINT right?"});
  if (const std::string* answered = response.find("x-repo-commit"); answered && *answered != commit)
    throw Error(ErrorKind::kInput, remote.url, "the answer is of another commit", {.got = *answered, .want = commit});
  remote.size = response.number("x-linked-size");
  if (!remote.size && !response.is_redirect()) remote.size = response.number("content-length");
  return remote;
}

void HubClient::get(const RemoteFile& file, uint64_t begin, const std::function<void(uint64_t begin)>& on_start,
                    const HttpClient::OnBody& sink) const {
  std::map<std::string, std::string> headers;
  if (begin > 0) headers["range"] = fmt::format("bytes={}-", begin);
  bool good = false;
  const HttpResponse response = follow(
      HttpMethod::kGet, file.url, std::move(headers),
      [&](const HttpResponse& head) {
        const bool part =
            head.status == 206 && text_of(head, "content-range").starts_with(fmt::format("bytes {}-", begin));
        good = part || head.status == 200;
        if (good) on_start(part ? begin : 0);
        return good;
      },
      sink);
  if (response.status == 416) return on_start(0);  // what is here is longer than the file: from the start
  if (!good) refuse(response, file.name, "");
}

}  // namespace rialto::hub
