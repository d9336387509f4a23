// A model spelled out in a recipe, and the check of one that was loaded.
#include "rialto/config/model_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::config {
namespace {

ModelSection tiny() {
  ModelSection section;
  section.num_layers = 2;
  section.hidden_size = 64;
  section.ffn_hidden_size = 96;
  section.num_attention_heads = 4;
  section.num_query_groups = 2;
  section.vocab_size = 131;
  section.seq_length = 32;
  return section;
}

std::string message(const ModelSection& section) {
  try {
    model_from_section(section, {}, DType::kF32);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "accepted";
}

TEST(ModelSectionTest, SpellsOutEveryLayer) {
  const spec::ModelSpec model = model_from_section(tiny(), {}, DType::kF32);
  ASSERT_EQ(model.layers.size(), 2u);
  const auto& attention = std::get<spec::Attention>(model.layers[1].mixer);
  EXPECT_EQ(attention.head_dim, 16);
  EXPECT_EQ(attention.num_groups, 2);
  EXPECT_EQ(attention.softmax_scale, 0.25);
  EXPECT_FALSE(attention.qkv_bias);
  EXPECT_EQ(std::get<spec::DenseFfn>(model.layers[0].ffn).hidden, 96);
  EXPECT_EQ(model.vocab, 131);
  EXPECT_EQ(model.dtype, DType::kF32);
}

TEST(ModelSectionTest, FamiliesBringTheirParts) {
  ModelSection section = tiny();
  section.family = "qwen2";
  EXPECT_TRUE(std::get<spec::Attention>(model_from_section(section, {}, DType::kF32).layers[0].mixer).qkv_bias);
  section.family = "qwen3";
  EXPECT_TRUE(std::get<spec::Attention>(model_from_section(section, {}, DType::kF32).layers[0].mixer).qk_norm);
}

TEST(ModelSectionTest, TokenizerStandsInForTheVocabulary) {
  ModelSection section = tiny();
  section.vocab_size.reset();
  EXPECT_EQ(model_from_section(section, 777, DType::kF32).vocab, 777);
  EXPECT_THAT(message(section), testing::HasSubstr("model.vocab_size"));
}

TEST(ModelSectionTest, RefusesWhatDoesNotFit) {
  ModelSection section = tiny();
  section.num_query_groups = 3;
  EXPECT_THAT(message(section), testing::HasSubstr("model.num_query_groups"));
  section = tiny();
  section.hidden_size = 66;
  EXPECT_THAT(message(section), testing::HasSubstr("model.kv_channels"));
  section = tiny();
  section.kv_channels = 15;
  EXPECT_THAT(message(section), testing::HasSubstr("even head size"));
  section = tiny();
  section.num_layers = 0;
  EXPECT_THAT(message(section), testing::HasSubstr("model.num_layers"));
  section = tiny();
  section.ffn_hidden_size.reset();
  EXPECT_THAT(message(section), testing::HasSubstr("model.ffn_hidden_size"));
}

TEST(ModelSectionTest, LoadedModelMustAgreeWithWhatIsSpelled) {
  const spec::ModelSpec model = model_from_section(tiny(), {}, DType::kF32);
  EXPECT_NO_THROW(check_against_model(tiny(), model));
  EXPECT_NO_THROW(check_against_model(ModelSection{}, model));
  ModelSection other = tiny();
  other.num_layers = 3;
  EXPECT_THROW(check_against_model(other, model), Error);
  other = tiny();
  other.rotary_base = 5e5;
  EXPECT_THROW(check_against_model(other, model), Error);
  other = tiny();
  other.seq_length = 8;  // training length, not a property of the weights
  EXPECT_NO_THROW(check_against_model(other, model));
}

}  // namespace
}  // namespace rialto::config
