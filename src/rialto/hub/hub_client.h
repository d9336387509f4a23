// What is asked of the Hub: which commit and files a revision has, what a file is called and how large it is, and its
// bytes. The token is shown to the endpoint's host only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rialto/hub/http.h"
#include "rialto/hub/hub_id.h"
#include "rialto/hub/hub_settings.h"

namespace rialto::hub {

struct RepositoryListing {
  std::string commit;
  std::vector<std::string> files;
};

struct RemoteFile {
  std::string name;  ///< in the repository
  std::string url;
  std::string etag;  ///< SHA-256 of a large file, git's hash of a small one; names the blob
  std::optional<uint64_t> size;

  bool has_sha256() const;
};

class HubClient {
 public:
  HubClient(const HubSettings& settings, const Environment& environment, HubId id);

  /// Both throw HttpFailure when nobody answers, kInput on what the Hub refuses and on answers that make no sense.
  RepositoryListing list(const std::string& revision) const;
  RemoteFile describe(const std::string& commit, const std::string& file) const;

  /// One try at the bytes of `file` from `begin` on. `on_start` is told where the answer really begins, `begin` or 0,
  /// before `sink` gets bytes. Throws as above; HttpFailure also when the server is overloaded.
  void get(const RemoteFile& file, uint64_t begin, const std::function<void(uint64_t begin)>& on_start,
           const HttpClient::OnBody& sink) const;

 private:
  HttpResponse follow(HttpMethod method, std::string url, std::map<std::string, std::string> headers,
                      const HttpClient::OnHead& on_head, const HttpClient::OnBody& on_body) const;
  /// The one-line reason of a status that is no success. HttpFailure when another try may help.
  [[noreturn]] void refuse(const HttpResponse& response, const std::string& what, const std::string& revision) const;

  HubSettings settings_;
  HubId id_;
  HttpClient http_;
};

}  // namespace rialto::hub
