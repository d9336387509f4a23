// Asking a Hub and fetching files from it: what is shown to whom, what is checked, what is gone on with.
#include "rialto/hub/download.h"

#include <fstream>

#include <gmock/gmock.h>

#include "rialto/hub/sha256.h"
#include "tiny_server.h"

namespace rialto::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kCommit(40, 'c');
const std::string kBytes = [] {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += std::to_string(i);
  return bytes;
}();

std::string sha256_of(const std::string& text) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.hex();
}

class DownloadTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root); }

  HubClient client_of(const TinyServer& server, std::optional<std::string> token = std::nullopt) {
    settings.endpoint = server.url();
    settings.token = std::move(token);
    return HubClient(settings, [](const char*) -> const char* { return nullptr; }, *parse_hub_id("org/name"));
  }
  RemoteFile file_at(const std::string& url) { return {"model.safetensors", url, sha256_of(kBytes), kBytes.size()}; }
  void fetch(const HubClient& client, const RemoteFile& file) {
    const DownloadEvents events{[&](uint64_t bytes) { last = bytes; }, [](const std::string&) {}, [] {}};
    download_file(client, cache, kCommit, file, real_file_ops(), events);
  }
  std::string complaint(const std::function<void()>& action, ErrorKind kind = ErrorKind::kInput) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "";
  }
  fs::path incomplete() const { return cache.blob(sha256_of(kBytes)).string() + ".incomplete"; }
  void leave_behind(const std::string& bytes) {
    fs::create_directories(incomplete().parent_path());
    std::ofstream(incomplete(), std::ios::binary) << bytes;
  }

  const fs::path root = fs::temp_directory_path() / ("rialto_download_" + std::to_string(::getpid()));
  HubCache cache{root, *parse_hub_id("org/name")};
  HubSettings settings;
  uint64_t last = 0;
};

/// Answers ranges as a server of files does.
std::string serve_bytes(const TinyRequest& request) {
  const std::string range = request.header("range");
  if (range.empty()) return TinyServer::reply("200 OK", "", kBytes);
  const size_t begin = std::stoul(range.substr(6));
  return TinyServer::reply("206 Partial Content",
                           "Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(kBytes.size() - 1) +
                               "/" + std::to_string(kBytes.size()) + "\r\n",
                           kBytes.substr(begin));
}

TEST_F(DownloadTest, TheTokenStaysWithTheEndpoint) {
  const TinyServer files(serve_bytes);
  const TinyServer hub([&](const TinyRequest& request) {
    if (request.path == "/old") return TinyServer::reply("307 Moved", "Location: /new\r\n", "");
    return TinyServer::reply("302 Found", "Location: " + files.url() + "/blob?secret\r\n", "not the file");
  });
  fetch(client_of(hub, "hf_token"), file_at(hub.url() + "/old"));
  EXPECT_EQ(read_text_file(cache.snapshot(kCommit) / "model.safetensors"), kBytes);
  ASSERT_EQ(hub.requests().size(), 2u);
  for (const TinyRequest& request : hub.requests()) EXPECT_EQ(request.header("authorization"), "Bearer hf_token");
  ASSERT_EQ(files.requests().size(), 1u);
  EXPECT_EQ(files.requests()[0].header("authorization"), "");
  EXPECT_EQ(last, kBytes.size());
}

TEST_F(DownloadTest, PartsAreGoneOnWith) {
  const TinyServer server(serve_bytes);
  leave_behind(kBytes.substr(0, 1234));
  fetch(client_of(server), file_at(server.url()));
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].header("range"), "bytes=1234-");
  EXPECT_EQ(read_text_file(cache.blob(sha256_of(kBytes))), kBytes);
  EXPECT_FALSE(fs::exists(incomplete()));
  fetch(client_of(server), file_at(server.url()));
  EXPECT_EQ(server.requests().size(), 1u) << "a blob that is there is not fetched";
}

TEST_F(DownloadTest, AWholePartNeedsNoRequest) {
  const TinyServer server(serve_bytes);
  leave_behind(kBytes);
  fetch(client_of(server), file_at(server.url()));
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(DownloadTest, DamagedOrTooLongPartsStartAgain) {
  for (const std::string& part : {std::string("x"), kBytes + "longer", std::string(kBytes.size(), 'x')}) {
    const TinyServer server(serve_bytes);
    fs::remove_all(root);
    leave_behind(part);
    fetch(client_of(server), file_at(server.url()));
    EXPECT_EQ(read_text_file(cache.blob(sha256_of(kBytes))), kBytes);
  }
}

TEST_F(DownloadTest, SmallFilesStartAgain) {
  const TinyServer server(serve_bytes);
  RemoteFile small = file_at(server.url());
  small.etag = std::string(40, 'e');
  fs::create_directories(cache.blob(small.etag).parent_path());
  std::ofstream(cache.blob(small.etag).string() + ".incomplete") << "nothing proves this";
  fetch(client_of(server), small);
  EXPECT_EQ(read_text_file(cache.blob(small.etag)), kBytes);
}

TEST_F(DownloadTest, AServerWithoutRangesIsReadFromTheStart) {
  const TinyServer server([](const TinyRequest&) { return TinyServer::reply("200 OK", "", kBytes); });
  leave_behind(kBytes.substr(0, 10));
  fetch(client_of(server), file_at(server.url()));
  EXPECT_EQ(read_text_file(cache.blob(sha256_of(kBytes))), kBytes);
}

TEST_F(DownloadTest, OtherBytesAreRefused) {
  std::string other = kBytes;
  other[100] ^= 1;
  const TinyServer server([&](const TinyRequest&) { return TinyServer::reply("200 OK", "", other); });
  EXPECT_THAT(complaint([&] { fetch(client_of(server), file_at(server.url())); }),
              AllOf(HasSubstr("SHA-256"), HasSubstr(sha256_of(kBytes)), HasSubstr(sha256_of(other))));
  EXPECT_FALSE(fs::exists(cache.blob(sha256_of(kBytes))));
  EXPECT_FALSE(fs::exists(incomplete()));
}

TEST_F(DownloadTest, MoreBytesThanAnnouncedAreRefused) {
  const TinyServer server([](const TinyRequest&) { return TinyServer::reply("200 OK", "", kBytes + "!"); });
  EXPECT_THAT(complaint([&] { fetch(client_of(server), file_at(server.url())); }), HasSubstr("more than it announced"));
}

TEST_F(DownloadTest, BodiesThatEndEarlyAreGoneOnWith) {
  int count = 0;
  const TinyServer server([&](const TinyRequest& request) {
    std::string whole = serve_bytes(request);
    return ++count < 3 ? whole.substr(0, whole.size() - 4000) : whole;
  });
  fetch(client_of(server), file_at(server.url()));
  EXPECT_EQ(read_text_file(cache.blob(sha256_of(kBytes))), kBytes);
  EXPECT_EQ(server.requests().size(), 3u);
}

TEST_F(DownloadTest, WhatAFileIsCalledStandsInTheFirstAnswer) {
  const std::string etag = sha256_of(kBytes);
  const TinyServer server([&](const TinyRequest& request) {
    if (request.path == "/org/name/resolve/" + kCommit + "/a%20b")
      return TinyServer::reply("302 Found",
                               "Location: https://elsewhere.invalid/x\r\nX-Linked-Etag: \"" + etag +
                                   "\"\r\nX-Linked-Size: 77\r\nETag: \"other\"\r\nX-Repo-Commit: " + kCommit + "\r\n",
                               "");
    return TinyServer::reply("200 OK", "ETag: W/\"weak\"\r\n", "12345");
  });
  const HubClient client = client_of(server);
  const RemoteFile large = client.describe(kCommit, "a b"), small = client.describe(kCommit, "c");
  EXPECT_EQ(large.etag, etag);
  EXPECT_EQ(large.size, 77u);
  EXPECT_TRUE(large.has_sha256());
  EXPECT_EQ(small.etag, "weak");
  EXPECT_EQ(small.size, 5u);
  EXPECT_FALSE(small.has_sha256());
}

TEST_F(DownloadTest, AnswersThatMakeNoSense) {
  std::string headers, body, status = "200 OK";
  const TinyServer server([&](const TinyRequest&) { return TinyServer::reply(status, headers, body); });
  const HubClient client = client_of(server);
  const auto describe = [&] { client.describe(kCommit, "f"); };
  EXPECT_THAT(complaint(describe), HasSubstr("ETag"));
  for (const char* etag : {"\"../x\"", "\"a/b\"", "\".hidden\"", "\"\""}) {
    headers = std::string("ETag: ") + etag + "\r\n";
    EXPECT_THAT(complaint(describe), HasSubstr("ETag")) << etag;
  }
  headers = "ETag: \"a\"\r\nX-Repo-Commit: " + std::string(40, 'd') + "\r\n";
  EXPECT_THAT(complaint(describe), HasSubstr("another commit"));
  const auto list = [&] { client.list("main"); };
  for (const char* text : {"{}", "[]", R"({"sha": "main", "siblings": []})", "<html>"}) {
    body = text;
    EXPECT_NE(complaint(list), "") << text;
  }
  body = R"({"sha": ")" + kCommit + R"(", "siblings": [{"rfilename": "x"}]})";
  EXPECT_THAT(client.list("main").files, ElementsAre("x"));
}

TEST_F(DownloadTest, RefusalsSayWhatToDo) {
  std::string status, headers;
  const TinyServer server([&](const TinyRequest&) { return TinyServer::reply(status, headers, ""); });
  const auto list = [&](std::optional<std::string> token, ErrorKind kind = ErrorKind::kInput) {
    return complaint([&] { client_of(server, token).list("v1"); }, kind);
  };
  status = "401 Unauthorized", headers = "X-Error-Code: GatedRepo\r\n";
  EXPECT_THAT(list({}), AllOf(HasSubstr("gated"), HasSubstr("HF_TOKEN"), HasSubstr(server.url() + "/org/name")));
  EXPECT_THAT(list("t"), AllOf(HasSubstr("no access"), Not(HasSubstr("set HF_TOKEN"))));
  headers = "X-Error-Message: Invalid credentials in Authorization header\r\n";
  EXPECT_THAT(list("t"), HasSubstr("does not accept the token"));
  EXPECT_THAT(list({}), HasSubstr("no such model"));
  status = "404 Not Found", headers = "X-Error-Code: RevisionNotFound\r\n";
  EXPECT_THAT(list({}), HasSubstr("no revision 'v1'"));
  status = "429 Slow", headers = "";
  EXPECT_THAT(list({}, ErrorKind::kIo), HasSubstr("too many requests"));
  status = "302 Found", headers = "Location: ftp://x\r\n";
  EXPECT_THAT(list({}), HasSubstr("redirects to something"));
  status = "302 Found", headers = "Location: /again\r\n";
  EXPECT_THAT(list({}), HasSubstr("without end"));
}

}  // namespace
}  // namespace rialto::hub
