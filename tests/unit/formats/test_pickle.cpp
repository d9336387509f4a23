// The pickle interpreter: what it reads, that it runs nothing, and that no input hurts it.
#include "rialto/formats/pickle.h"
#include "tests/unit/formats/temp_file.h"

namespace rialto::formats {
namespace {

using Kind = PickleValue::Kind;
using namespace std::string_literals;

PicklePtr read(const std::string& bytes, std::vector<std::string_view> allowed = {}) {
  return read_pickle(bytes_of(bytes), "test", allowed);
}

/// The error of a pickle of protocol 4 with this body.
std::string error(const std::string& body, std::vector<std::string_view> allowed = {}) {
  return input_error([&] { read("\x80\x04"s + body, allowed); });
}
PicklePtr body(const std::string& text, std::vector<std::string_view> allowed = {}) {
  return read("\x80\x04"s + text + ".", allowed);
}

TEST(Pickle, ScalarsOfEveryOpcode) {
  EXPECT_EQ(body("N")->kind, Kind::kNone);
  EXPECT_TRUE(body("\x88")->boolean);
  EXPECT_FALSE(body("\x89")->boolean);
  EXPECT_EQ(body("K\xFF")->integer, 255);
  EXPECT_EQ(body("M\x01\x02")->integer, 513);
  EXPECT_EQ(body("J\xFE\xFF\xFF\xFF")->integer, -2);
  EXPECT_EQ(body("\x8a\x00"s)->integer, 0);
  EXPECT_EQ(body("\x8a\x01\xFF")->integer, -1);
  EXPECT_EQ(body("\x8a\x02\xFF\x00"s)->integer, 255);
  EXPECT_EQ(body("\x8a\x08"s + le(INT64_MIN))->integer, INT64_MIN);
  EXPECT_EQ(body("\x8b"s + le<int32_t>(3) + "\x00\x00\x01"s)->integer, 65536);
  EXPECT_EQ(body("G\x3f\xf8\x00\x00\x00\x00\x00\x00"s)->number, 1.5);
  EXPECT_EQ(body("\x8c\x02hi")->text, "hi");
  EXPECT_EQ(body("X"s + le<uint32_t>(2) + "hi")->text, "hi");
  EXPECT_EQ(body("\x8d"s + le<uint64_t>(2) + "hi")->text, "hi");
  EXPECT_EQ(body("C\x02\xFFz")->kind, Kind::kBytes);
  EXPECT_EQ(body("\x96"s + le<uint64_t>(1) + "z")->text, "z");
}

TEST(Pickle, Containers) {
  const PicklePtr value = body(
      "}(\x8c\x01"
      "aK\x01\x8c\x01"
      "b](K\x01K\x02"
      "eu");
  EXPECT_EQ(value->get("a")->integer, 1);
  EXPECT_EQ(value->get("b")->items[1]->integer, 2);
  EXPECT_EQ(value->get("c"), nullptr);
  EXPECT_EQ(body("K\x01K\x02\x86")->items.size(), 2u);
  EXPECT_EQ(body("(K\x01K\x02K\x03K\x04t")->items.size(), 4u);
  EXPECT_EQ(body("\x8f(K\x01K\x02\x90")->kind, Kind::kSet);
  EXPECT_EQ(body("(K\x01\x91")->items.size(), 1u);
  EXPECT_EQ(body("(K\x01K\x02l")->items.size(), 2u);
  EXPECT_EQ(body("(\x8c\x01"
                 "aK\x02"
                 "d")
                ->get("a")
                ->integer,
            2);
  EXPECT_EQ(body("]K\x01"
                 "aK\x02"
                 "a")
                ->items.size(),
            2u);
  EXPECT_EQ(body("]](K\x01"
                 "ea")
                ->items[0]
                ->items.size(),
            1u)
      << "lists filled in turns keep their items apart";
  EXPECT_EQ(body("]\x94K\x01"
                 "a]K\x07"
                 "aah\x00K\x02"
                 "a0"s)
                ->items.size(),
            3u);
}

TEST(Pickle, CallsAndObjectsAreKeptByName) {
  const std::string make = "cm\nC\n)\x81}(\x8c\x01xK\x05ub";
  const PicklePtr object = body(make, {"m.C"});
  EXPECT_EQ(object->kind, Kind::kObject);
  EXPECT_EQ(object->class_name(), "m.C");
  EXPECT_EQ(object->state->get("x")->integer, 5);
  EXPECT_EQ(body(make, {"m."})->class_name(), "m.C");
  const PicklePtr ordered = body(
      "\x8c\x0b"
      "collections\x8c\x0bOrderedDict\x93)R(\x8c\x01"
      "aK\x01u",
      {"collections.OrderedDict"});
  EXPECT_EQ(ordered->kind, Kind::kCall);
  EXPECT_EQ(ordered->get("a")->integer, 1);
  EXPECT_EQ(body("\x8c\x01zQ")->kind, Kind::kPersistentId);
}

TEST(Pickle, NamesOutsideTheListAreRefused) {
  for (const char* call : {"cos\nsystem\n", "cposix\nsystem\n", "cbuiltins\neval\n", "c__builtin__\nexec\n",
                           "csubprocess\nPopen\n", "cm\nD\n", "cm.sub\nC\n", "cmm\nC\n", "cm\nC.__init__\n"}) {
    EXPECT_HAS(error(call + "\x8c\x02id\x85R."s, {"m.C"}), "not allowed") << call;
  }
  EXPECT_HAS(error("\x8c\x02os\x8c\x06system\x93."), "'os.system'");
  EXPECT_HAS(error("cn\nC\n.", {"m."}), "not allowed");
  EXPECT_HAS(error("cm.sub\nC\n.", {"m."}), "not allowed");
  EXPECT_NE(error("K\x01K\x02\x93."), "");
}

TEST(Pickle, OldProtocolsAreRefused) {
  EXPECT_NE(input_error([] { read("I1\n."); }), "");
  EXPECT_NE(input_error([] { read("(dp0\n."); }), "");
  EXPECT_NE(input_error([] { read("\x80\x01N."s); }), "");
  EXPECT_NE(input_error([] { read("\x80\x06N."s); }), "");
  for (const char* op : {"I1\n", "L1L\n", "F1\n", "S'a'\n", "Va\n", "P1\n", "p0\n", "g0\n", "(ios\nsystem\n", "(o"})
    EXPECT_HAS(error(op + "."s), "protocol 0 or 1") << op;
  for (const char op : {'\x82', '\x83', '\x84', '\x97', '\x98', '\x00', '\xFF'})
    EXPECT_NE(error("K\x01"s + op + "."), "") << static_cast<int>(op);
}

TEST(Pickle, EveryTruncationIsAnError) {
  const std::string whole = "\x80\x04\x95"s + le<uint64_t>(10) +
                            "}\x94(\x8c\x01"
                            "aG\x3f\xf8\x00\x00\x00\x00\x00\x00X"s +
                            le<uint32_t>(1) +
                            "b](K\x01M\x01\x02J\x01\x02\x03\x04\x8a\x01\x05"
                            "euh\x00\x86."s;
  EXPECT_EQ(input_error([&] { read(whole); }), "");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(input_error([&] { read(whole.substr(0, size)); }), "") << size;
  EXPECT_HAS(input_error([&] { read(whole + "N"); }), "after the end");
}

TEST(Pickle, LengthsThatLie) {
  for (const std::string& op : std::vector<std::string>{
           "X"s + le<uint32_t>(0xFFFFFFFF), "\x8d"s + le(UINT64_MAX), "\x8e"s + le<uint64_t>(1ull << 40),
           "\x96"s + le(UINT64_MAX - 3), "B"s + le<uint32_t>(100), "\x8c\x09z"s, "\x8b"s + le<int32_t>(-1),
           "\x8b"s + le<int32_t>(INT32_MAX), "\x95"s + le(UINT64_MAX), "\x8a\x09zzzzzzzzz"s}) {
    EXPECT_NE(error(op + "."), "");
  }
}

TEST(Pickle, StackMistakes) {
  for (const char* op : {"",
                         "0",
                         "2",
                         "a",
                         "s",
                         "e",
                         "u",
                         "t",
                         "\x85",
                         "\x86",
                         "\x87",
                         "R",
                         "b",
                         "\x81",
                         "\x92",
                         "Q",
                         "1",
                         "l",
                         "d",
                         "\x90",
                         "\x91",
                         "\x93",
                         "\x94",
                         "q\x01",
                         "h\x01",
                         "j\x01\x01\x01\x01",
                         "(",
                         "NN",
                         "(a",
                         "](K\x01",
                         "N(e",
                         "}(K\x01u",
                         "}(K\x01s",
                         "K\x01N"
                         "a",
                         "K\x01(Nu",
                         "K\x01Nb",
                         "NNR",
                         "N)R",
                         "N)\x81",
                         ")(NNb",
                         "(0",
                         "NN(1"}) {
    EXPECT_NE(error(op + "."s), "") << op;
  }
  EXPECT_EQ(error("(N0NN1N."s.substr(0, 7) + "."), "") << "a mark and what lies on it may be dropped";
}

TEST(Pickle, MemoIndicesAreBounded) {
  EXPECT_HAS(error("Nr"s + le(UINT32_MAX) + "."), "out of range");
  EXPECT_NE(error("Nq\x01h\x00."s), "");
  EXPECT_EQ(error("Nq\x03h\x03\x86."s), "");
}

TEST(Pickle, CyclesAreRefused) {
  EXPECT_HAS(error("]\x94h\x00"
                   "a."s),
             "contains itself");
  EXPECT_HAS(error("}\x94(\x8c\x01"
                   "ah\x00u."s),
             "contains itself");
  EXPECT_HAS(error("]\x94}\x94(\x8c\x01"
                   "ah\x00uah\x01\x86."s),
             "contains itself");
  EXPECT_HAS(error("cm\nC\n)\x81\x94h\x00"
                   "b."s,
                   {"m.C"}),
             "contains itself");
}

TEST(Pickle, DepthIsBounded) {
  const auto nested = [](size_t depth) { return std::string(depth, ']') + std::string(depth - 1, 'a') + "."; };
  EXPECT_EQ(error(nested(200)), "");
  EXPECT_HAS(error(nested(300)), "too deeply");
  EXPECT_HAS(error(nested(1'000'000)), "too deeply");
  std::string tuples = ")";
  for (int i = 0; i < 100000; ++i) tuples += "\x85";
  EXPECT_HAS(error(tuples + "."), "too deeply");
  // Deep through shared values: each alone is shallow enough.
  std::string shared = "]";
  for (int i = 0; i < 200; ++i) shared += "\x94\x85";
  std::string chain = shared;
  for (int i = 0; i < 200; ++i) chain += "\x85";
  EXPECT_HAS(error(chain + "."), "too deeply");
}

TEST(Pickle, SharedValuesCannotExpandWithoutBound) {
  std::string laughs = "K\x01\x94";
  for (int i = 0; i < 60; ++i) laughs += "h"s + static_cast<char>(i) + "h"s + static_cast<char>(i) + "\x86\x94";
  EXPECT_HAS(error("(" + laughs + "t."), "expand");
}

TEST(Pickle, ManyValuesAreBounded) {
  EXPECT_HAS(error("(" + std::string(3'000'000, ']') + "l."), "two million");
  EXPECT_EQ(error("(" + std::string(3'000'000, 'N') + "l."), "") << "None costs nothing";
}

TEST(Pickle, OddValues) {
  EXPECT_NE(error("\x8c\x01\xFF."), "") << "not UTF-8";
  EXPECT_HAS(error("}(\x8c\x01"
                   "aN\x8c\x01"
                   "aNu."),
             "twice");
  EXPECT_NE(error("c_codecs\nencode\nK\x01\x85R."s), "");
  EXPECT_NE(error("c_codecs\nencode\n\x8c\x03\xE2\x82\xAC\x8c\x06latin1\x86R."), "");
  EXPECT_NE(error("c_codecs\nencode\n\x8c\x01"
                  "a\x8c\x03hex\x86R."),
            "");
  EXPECT_NE(error("cm\nC\n)\x81NbNb.", {"m.C"}), "") << "two states";
  EXPECT_NE(error("cm\nC\n)}(\x8c\x01"
                  "aNu\x92.",
                  {"m.C"}),
            "");
}

TEST(Pickle, WhatIsWrittenReadsBack) {
  const PicklePtr value = p_dict(
      {{p_str("a"), p_list({p_int(0), p_int(255), p_int(256), p_int(65536), p_int(-1), p_int(INT64_MAX),
                            p_int(INT64_MIN), p_float(-0.5), p_none(), p_bool(true)})},
       {p_str("t"), p_tuple({p_tuple({}), p_tuple({p_int(1)}), p_tuple({p_int(1), p_int(2), p_int(3), p_int(4)})})},
       {p_str("o"), p_object(p_global("m", "C"), {}, p_dict({{p_str("x"), p_global("m", "C")}}))},
       {p_str("p"), p_persistent(p_str("id"))}});
  PickleValue bytes, set;
  bytes.kind = Kind::kBytes;
  for (int i = 0; i < 256; ++i) bytes.text += static_cast<char>(i);
  set.kind = Kind::kSet;
  set.items = {p_int(3)};
  value->dict.emplace_back(p_str("raw"), std::make_shared<PickleValue>(bytes));
  value->dict.emplace_back(p_str("set"), std::make_shared<PickleValue>(set));
  const std::string written = write_pickle(*value);
  EXPECT_EQ(written.substr(0, 2), "\x80\x02");
  const PicklePtr back = read(written, {"m.C"});
  EXPECT_EQ(write_pickle(*back), written);
  EXPECT_EQ(back->get("raw")->text, bytes.text);
  EXPECT_EQ(back->get("set")->kind, Kind::kSet);
  EXPECT_EQ(back->get("a")->items[5]->integer, INT64_MAX);
  EXPECT_EQ(back->get("o")->state->get("x")->text, "m.C");
}

}  // namespace
}  // namespace rialto::formats
