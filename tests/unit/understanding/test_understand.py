"""What queries mean over the sample catalogue: brands, slips, negations, prices."""

from __future__ import annotations

import statistics
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.understanding.learning import Title, lexicon_of
from search_plane.understanding.lexicon import EMPTY, Lexicon
from search_plane.understanding.synonyms import Synonyms, synonyms_of
from search_plane.understanding.understand import MAX_CHARACTERS, understand
from search_plane.understanding.understood import Correction, Understood

NONE = Synonyms()
PRICE_WORDS = synonyms_of(["便宜, 实惠, 性价比高"])


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("小米手机充电器", "小米"),
        ("小米14", "小米"),
        ("小米路由器", "小米"),
        ("小米电饭煲", "小米"),
        ("xiaomi充电器", "小米"),
        ("小米手機充電器", "小米"),
        ("苹果手机", "苹果"),
        ("Apple 智能手表", "苹果"),
        ("华为手机", "华为"),
        ("华为", "华为"),
        ("HUAWEI 平板", "华为"),
        ("Sony耳机", "索尼"),
        ("baseus充电宝", "倍思"),
        ("三只松鼠坚果礼盒", "三只松鼠"),
        ("给妈妈买美的电饭煲", "美的"),
        ("the north face 羽绒服", "北面"),
        ("澳优康钙片", "澳優康"),
        ("360行车记录仪", "360"),
    ],
)
def test_a_brand_is_certain(lexicon: Lexicon, text: str, brand: str) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.brands, understood.brand_certain) == ((brand,), True)


@pytest.mark.parametrize(
    "text",
    [
        "熬粥的小米",
        "煮小米粥的米",
        "五斤小米",
        "小米5kg",
        "小米 杂粮",
        "黄小米",
        "小米粥",
        "有机小米",
        "月子小米 养胃",
        "小米辣椒酱",
        "大米",
        "五常大米",
        "脆甜的苹果",
        "红富士苹果10斤",
        "孕妇吃的苹果",
        "可靠的充电宝",
        "便宜的蓝牙耳机",
        "宝宝辅食米粉",
    ],
)
def test_a_common_word_is_no_brand(lexicon: Lexicon, text: str) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.brands, understood.brand_certain) == ((), False)


@pytest.mark.parametrize("text", ["小米", "苹果", "360"])
def test_a_common_word_alone_is_at_most_preferred(lexicon: Lexicon, text: str) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.brands, understood.brand_certain) == ((text,), False)


@pytest.mark.parametrize(
    "text",
    ["小米手机壳", "小米14手机壳", "适用小米的充电器", "小米通用充电器", "苹果手机壳", "兼容华为的数据线"],
)
def test_of_an_accessory_the_phones_brand_is_preferred(lexicon: Lexicon, text: str) -> None:
    understood = understand(text, lexicon, NONE)
    assert len(understood.brands) == 1
    assert not understood.brand_certain


def test_the_own_makers_share_of_accessories_decides() -> None:
    """The same query over a shop where the brand makes its own cases, and where others do."""
    pairs = {("米宝", "手机"): 30, ("米宝", "手机壳"): 30, ("亿色", "手机壳"): 30}
    phones = [Title(f"米宝 X{number} 手机", "米宝", "手机") for number in range(30)]
    own = [Title("米宝 硅胶保护壳", "米宝", "手机壳")] * 20
    others = [Title("亿色 适用米宝 硅胶保护壳", "亿色", "手机壳")] * 20
    assert understand("米宝保护壳", lexicon_of(pairs, [*phones, *own, *others[:2]]), NONE).brand_certain
    assert not understand("米宝保护壳", lexicon_of(pairs, [*phones, *own[:2], *others]), NONE).brand_certain


def test_a_brand_that_sells_nothing_of_the_kind_filters_nothing(lexicon: Lexicon) -> None:
    assert not understand("耐克充电宝", lexicon, NONE).brand_certain
    assert not understand("华为电饭煲", lexicon, NONE).brand_certain


def test_a_brand_leaves_the_rest_and_its_other_names(lexicon: Lexicon) -> None:
    understood = understand("Ｈuawei 充电器", lexicon, NONE)
    assert (understood.text, understood.rest) == ("huawei 充电器", "充电器")
    assert set(understood.brand_spellings) == {"华为", "huawei"}


@pytest.mark.parametrize(
    ("text", "meant", "correction"),
    [
        ("蓝芽耳机", "蓝牙耳机", ("蓝芽", "蓝牙")),
        ("藍芽耳機", "蓝牙耳机", ("蓝芽", "蓝牙")),
        ("便宜的兰牙耳机", "便宜的蓝牙耳机", ("兰牙", "蓝牙")),
        ("小咪充电器", "小米充电器", ("小咪", "小米")),
        ("三只松树", "三只松鼠", ("三只松树", "三只松鼠")),
        ("三只松树坚果", "三只松鼠坚果", ("三只松树", "三只松鼠")),
        ("手几壳", "手机壳", ("手几", "手机")),
        ("冲电宝", "充电宝", ("冲电", "充电")),
        ("雨绒服", "羽绒服", ("雨绒", "羽绒")),
        ("降燥耳机", "降噪耳机", ("降燥", "降噪")),
        ("量血鸭的仪器", "量血压的仪器", ("血鸭", "血压")),
        ("花为手机", "华为手机", ("花为", "华为")),
        ("Huawe手机", "huawei手机", ("huawe", "huawei")),
        ("xioami充电器", "xiaomi充电器", ("xioami", "xiaomi")),
        ("lanya耳机", "蓝牙耳机", ("lanya", "蓝牙")),
    ],
)
def test_a_slip_is_mended(lexicon: Lexicon, text: str, meant: str, correction: tuple[str, str]) -> None:
    understood = understand(text, lexicon, NONE)
    assert understood.text == meant
    assert understood.corrections == (Correction(*correction),)


def test_what_was_typed_is_looked_for_too(lexicon: Lexicon) -> None:
    assert ("小米", "小咪") in understand("小咪充电器", lexicon, NONE).alternatives


@pytest.mark.parametrize(
    "text",
    [
        "小米手机充电器",
        "大米",
        "小米",
        "米粉",
        "小蜜蜂扩音器",
        "诗集",
        "芒果干",
        "儿童绘本",
        "苹果醋",
        "送爸妈的礼物",
        "适合送老人的保健品",
        "爸妈用的大字手机",
        "给爷爷奶奶泡脚的盆",
        "学生党性价比高的平板",
        "土豪专属降噪耳机",
        "无线充电器",
        "iphone 手机",
    ],
)
def test_what_is_right_or_unknown_stays(lexicon: Lexicon, text: str) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.text, understood.corrections) == (text, ())


@pytest.mark.parametrize(
    ("text", "rest", "excluded", "brands"),
    [
        ("不要降噪的耳机", "耳机", ("降噪",), ()),
        ("耳机 不要入耳式", "耳机", ("入耳式",), ()),
        ("不要入耳式耳机", "耳机", ("入耳式",), ()),
        ("非苹果手机", "手机", ("苹果", "apple"), ("苹果",)),
        ("手机 不要apple", "手机", ("apple", "苹果"), ("苹果",)),
        ("不是苹果的手机", "手机", ("苹果", "apple"), ("苹果",)),
        ("除了苹果以外的手机", "手机", ("苹果", "apple"), ("苹果",)),
    ],
)
def test_what_is_not_wanted(
    lexicon: Lexicon, text: str, rest: str, excluded: tuple[str, ...], brands: tuple[str, ...]
) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.text, understood.excluded, understood.excluded_brands) == (rest, excluded, brands)
    assert understood.brands == ()


@pytest.mark.parametrize(
    "text",
    [
        "无线耳机",
        "无糖饼干",
        "非常便宜的手机",
        "无人机",
        "非油炸米粉",
        "不锈钢保温杯",
        "不粘锅",
        "不漏音耳机",
        "不用插电的",
        "没有噪音的吹风机",
        "是不是正品手机",
        "不要钱的手机",
    ],
)
def test_words_that_only_look_like_negations(lexicon: Lexicon, text: str) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.text, understood.excluded) == (text, ())


def test_free_of_something_is_what_titles_call_it(lexicon: Lexicon) -> None:
    understood = understand("不含糖的饼干", lexicon, NONE)
    assert (understood.text, understood.excluded) == ("无糖的饼干", ())


def test_of_all_at_once(lexicon: Lexicon) -> None:
    understood = understand("便宜的小咪充電器 20W 不要数据线 100元以下", lexicon, PRICE_WORDS)
    assert understood == Understood(
        text="便宜的小米充电器 20w",
        rest="便宜的 充电器 20w",
        brands=("小米",),
        brand_certain=True,
        whole=("20w",),
        alternatives=(("便宜", "实惠", "性价比高"), ("小米", "小咪")),
        excluded=("数据线",),
        price="low",
        corrections=(Correction("小咪", "小米"),),
        brand_spellings=understood.brand_spellings,
        price_max=100.0,
        kinds=understood.kinds,
        fitting=understood.fitting,
    )
    assert understood.kinds[0][0] == "充电器"
    assert set(understood.fitting) >= {"小米", "xiaomi", "红米"}


def test_nothing_is_known_of_an_empty_lexicon() -> None:
    assert understand("小咪手机充电器", EMPTY, NONE) == Understood("小咪手机充电器", "小咪手机充电器")


WORDS = st.sampled_from(
    [
        "小米",
        "小咪",
        "苹果",
        "适用",
        "不要",
        "非",
        "无",
        "除了",
        "以外",
        "的",
        "20W",
        "iPhone 15",
        "Pro",
        "便宜",
        "百元",
        "200",
        "元以下",
        " ",
        "-",
        "｜",
        "\u0130",
    ]
)


@given(st.one_of(st.text(), st.lists(WORDS, max_size=12).map("".join)))
def test_any_text_is_understood_within_bounds(lexicon: Lexicon, text: str) -> None:
    understood = understand(text, lexicon, PRICE_WORDS)
    assert len(understood.text) <= 2 * MAX_CHARACTERS
    assert len(understood.rest) <= len(understood.text)
    assert len(understood.brands) <= 4
    assert len(understood.alternatives) <= 16
    assert len(understood.excluded) <= 16
    assert len(understood.whole) <= 8
    assert set(understood.brands) <= lexicon.brands.keys()
    assert not understood.brand_certain or understood.brands
    understood.text.encode()


def test_a_query_takes_less_than_a_millisecond(lexicon: Lexicon) -> None:
    """The best of five of each, as other work shares the machine; once warm."""
    queries = [
        "小米手机充电器",
        "便宜的蓝芽耳机",
        "熬粥的小米",
        "iPhone 15 手机壳",
        "适合送老人的保健品",
        "不要降噪的耳机 200元以下",
    ]

    def seconds(text: str) -> float:
        started = perf_counter()
        understand(text, lexicon, PRICE_WORDS)
        return perf_counter() - started

    best = [min(seconds(text) for _ in range(5)) for text in queries]
    assert statistics.mean(best) < 0.001
