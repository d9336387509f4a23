// What users and their environment say: hub ids, cache and token, URLs; and SHA-256 against known digests.
#include <fstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/hub/http.h"
#include "rialto/hub/hub_id.h"
#include "rialto/hub/hub_settings.h"
#include "rialto/hub/local_model.h"
#include "rialto/hub/sha256.h"

namespace rialto::hub {
namespace {

using testing::HasSubstr;

HubSettings settings_of(std::map<std::string, std::string> variables) {
  return read_hub_settings([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(HubId, NamesAreOrganisationSlashModel) {
  const auto id = parse_hub_id("Qwen/Qwen3-0.6B");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->repository(), "Qwen/Qwen3-0.6B");
  EXPECT_EQ(id->revision, "main");
  EXPECT_EQ(id->cache_folder(), "models--Qwen--Qwen3-0.6B");
  EXPECT_EQ(parse_hub_id("a/b@refs/pr/3")->revision, "refs/pr/3");
}

TEST(HubId, PathsAndOtherTextsAreNone) {
  for (const char* text : {"", "model", "/a/b", "a/b/c", "./b", "../b", "a/..", "a/", "/b", "a--b/c", "a/b..c", "a b/c",
                           "a/b@", "a/b@../x", "a/b@x//y", "a/b@/x", "a/b@x y", "a\\b/c"})
    EXPECT_FALSE(parse_hub_id(text)) << text;
}

TEST(HubId, CommitsAreFortyLowerCaseDigits) {
  EXPECT_TRUE(is_commit(std::string(40, 'a')));
  EXPECT_FALSE(is_commit(std::string(39, 'a')));
  EXPECT_FALSE(is_commit(std::string(40, 'A')));
  EXPECT_FALSE(is_commit(std::string(40, 'g')));
}

TEST(HubSettings, TheCacheIsWhereHuggingFaceHasIt) {
  EXPECT_EQ(settings_of({{"HOME", "/h"}}).cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(settings_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}).cache, "/x/huggingface/hub");
  EXPECT_EQ(settings_of({{"HOME", "/h"}, {"HF_HOME", "~/hf"}}).cache, "/h/hf/hub");
  EXPECT_EQ(settings_of({{"HF_HOME", "/hf"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}).cache, "/old");
  EXPECT_EQ(settings_of({{"HF_HOME", "/hf"}, {"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HUB_CACHE", "/new"}}).cache,
            "/new");
}

TEST(HubSettings, OfflineAndEndpoint) {
  EXPECT_FALSE(settings_of({{"HF_HUB_OFFLINE", "0"}}).offline);
  EXPECT_TRUE(settings_of({{"HF_HUB_OFFLINE", "yes"}}).offline);
  EXPECT_TRUE(settings_of({{"TRANSFORMERS_OFFLINE", "1"}}).offline);
  EXPECT_EQ(settings_of({}).endpoint, "https://huggingface.co");
  EXPECT_EQ(settings_of({{"HF_ENDPOINT", "http://mirror:8080//"}}).endpoint, "http://mirror:8080");
  EXPECT_THROW(settings_of({{"HF_ENDPOINT", "mirror"}}), Error);
}

TEST(HubSettings, TheTokenOfTheEnvironmentComesBeforeTheFile) {
  const fs::path home = fs::temp_directory_path() / ("rialto_token_" + std::to_string(::getpid()));
  fs::create_directories(home);
  std::ofstream(home / "token") << "hf_file\n";
  const std::string folder = home.string();
  EXPECT_EQ(settings_of({{"HF_HOME", folder}}).token, "hf_file");
  EXPECT_EQ(settings_of({{"HF_HOME", folder}, {"HF_TOKEN", " hf_set "}}).token, "hf_set");
  EXPECT_EQ(settings_of({{"HF_HOME", folder}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, std::nullopt);
  EXPECT_EQ(settings_of({{"HF_HOME", folder + "/no"}}).token, std::nullopt);
  try {
    settings_of({{"HF_TOKEN", "secret\nInjected: header"}});
    ADD_FAILURE() << "a token with a line break was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(), Not(HasSubstr("secret")));
  }
  fs::remove_all(home);
}

TEST(Urls, OriginsAndRedirects) {
  EXPECT_EQ(origin_of("https://a.b:1/c?d"), "https://a.b:1");
  EXPECT_EQ(origin_of("http://a.b?x"), "http://a.b");
  EXPECT_EQ(origin_of("ftp://a/b"), "");
  EXPECT_EQ(origin_of("/b"), "");
  EXPECT_EQ(resolve_url("https://a/b/c?d=/e", "https://x/y"), "https://x/y");
  EXPECT_EQ(resolve_url("https://a/b/c?d=/e", "ftp://x/y"), "ftp://x/y");
  EXPECT_EQ(resolve_url("https://a/b/c?d=/e", "/y?to=http://z"), "https://a/y?to=http://z");
  EXPECT_EQ(resolve_url("https://a/b/c?d=/e", "/y"), "https://a/y");
  EXPECT_EQ(resolve_url("https://a/b/c?d=/e", "//x/y"), "https://x/y");
  EXPECT_EQ(resolve_url("https://a/b/c?d=/e", "y"), "https://a/b/y");
  EXPECT_EQ(percent_encode("refs/pr/1 %", false), "refs%2Fpr%2F1%20%25");
  EXPECT_EQ(percent_encode("a/b+", true), "a/b%2B");
}

TEST(Sha256, KnownDigests) {
  Sha256 hash;
  EXPECT_EQ(hash.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const std::string part : {"a", "bc"}) hash.update(std::as_bytes(std::span(part)));
  EXPECT_EQ(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(LocalModel, WhatExistsWinsAndTakesNoRevision) {
  ::setenv("HF_HUB_OFFLINE", "1", 1);  // whatever goes wrong here, nobody is asked
  const fs::path here = fs::current_path();
  const fs::path root = fs::temp_directory_path() / ("rialto_local_" + std::to_string(::getpid()));
  fs::create_directories(root / "org" / "model");
  fs::current_path(root);
  EXPECT_EQ(local_model("org/model", "", real_file_ops(), nullptr), "org/model");
  EXPECT_EQ(local_model("/no/such/folder", "", real_file_ops(), nullptr), "/no/such/folder");
  for (const char* model : {"org/model", "/no/such/folder"}) {
    try {
      local_model(model, "main", real_file_ops(), nullptr);
      ADD_FAILURE() << model;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr(model));
    }
  }
  fs::current_path(here);
  fs::remove_all(root);
}

}  // namespace
}  // namespace rialto::hub
