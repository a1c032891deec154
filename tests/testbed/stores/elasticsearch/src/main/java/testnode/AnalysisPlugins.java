package testnode;

import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.text.ParseException;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.charfilter.HTMLStripCharFilter;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.cjk.CJKAnalyzer;
import org.apache.lucene.analysis.cjk.CJKBigramFilter;
import org.apache.lucene.analysis.cjk.CJKWidthFilter;
import org.apache.lucene.analysis.cn.smart.HMMChineseTokenizer;
import org.apache.lucene.analysis.cn.smart.SmartChineseAnalyzer;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.analysis.core.WhitespaceTokenizer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenizer;
import org.apache.lucene.analysis.ngram.NGramTokenFilter;
import org.apache.lucene.analysis.ngram.NGramTokenizer;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.apache.lucene.analysis.synonym.SolrSynonymParser;
import org.apache.lucene.analysis.synonym.SynonymGraphFilter;
import org.apache.lucene.analysis.synonym.SynonymMap;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexService.IndexCreationContext;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.index.analysis.AnalyzerScope;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.CustomAnalyzer;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * Stands in for the parts of the analysis-common module and the analysis-smartcn plugin (neither is on Maven Central)
 * that the tests use, under the same names, over the same Lucene classes.
 */
public final class AnalysisPlugins extends Plugin implements AnalysisPlugin {

    @Override
    public Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> getAnalyzers() {
        return Map.of(
            "cjk", analyzer(CJKAnalyzer::new),
            "smartcn", analyzer(SmartChineseAnalyzer::new),
            "whitespace", analyzer(WhitespaceAnalyzer::new)
        );
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of(
            "smartcn_tokenizer", (i, e, name, s) -> TokenizerFactory.newFactory(name, HMMChineseTokenizer::new),
            "whitespace", (i, e, name, s) -> TokenizerFactory.newFactory(name, WhitespaceTokenizer::new),
            "keyword", (i, e, name, s) -> TokenizerFactory.newFactory(name, KeywordTokenizer::new),
            "pattern", (i, e, name, s) -> {
                Pattern pattern = Pattern.compile(s.get("pattern", "\\W+"));
                int group = s.getAsInt("group", -1);
                return TokenizerFactory.newFactory(name, () -> new PatternTokenizer(pattern, group));
            },
            "ngram", (i, e, name, s) -> TokenizerFactory.newFactory(name, () -> new NGramTokenizer(min(s), max(s))),
            "edge_ngram", (i, e, name, s) -> TokenizerFactory.newFactory(name, () -> new EdgeNGramTokenizer(min(s), max(s)))
        );
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "cjk_bigram", filter(s -> in -> new CJKBigramFilter(in,
                CJKBigramFilter.HAN | CJKBigramFilter.HIRAGANA | CJKBigramFilter.KATAKANA | CJKBigramFilter.HANGUL,
                s.getAsBoolean("output_unigrams", false))),
            "cjk_width", filter(s -> CJKWidthFilter::new),
            "asciifolding", filter(s -> in -> new ASCIIFoldingFilter(in, s.getAsBoolean("preserve_original", false))),
            "ngram", filter(s -> in -> new NGramTokenFilter(in, min(s), max(s), s.getAsBoolean("preserve_original", false))),
            "edge_ngram", filter(s -> in -> new EdgeNGramTokenFilter(in, min(s), max(s), s.getAsBoolean("preserve_original", false))),
            "remove_duplicates", filter(s -> RemoveDuplicatesTokenFilter::new),
            "synonym_graph", AnalysisPlugin.requiresAnalysisSettings((i, e, name, s) -> new Synonyms(name, s))
        );
    }

    @Override
    public Map<String, AnalysisProvider<CharFilterFactory>> getCharFilters() {
        return Map.of(
            "html_strip", (i, e, name, s) -> new CharFilterFactory() {
                public String name() { return name; }
                public Reader create(Reader r) { return new HTMLStripCharFilter(r); }
            },
            "mapping", AnalysisPlugin.requiresAnalysisSettings((i, e, name, s) -> mapping(name, s))
        );
    }

    /** Rules such as {@code \\uff10=>0}; only the escape for a character's code is understood. */
    private static CharFilterFactory mapping(String name, Settings settings) {
        NormalizeCharMap.Builder rules = new NormalizeCharMap.Builder();
        for (String rule : settings.getAsList("mappings")) {
            int arrow = rule.indexOf("=>");
            if (arrow < 0) {
                throw new IllegalArgumentException("Invalid Mapping Rule : [" + rule + "]");
            }
            rules.add(unescaped(rule.substring(0, arrow).trim()), unescaped(rule.substring(arrow + 2).trim()));
        }
        NormalizeCharMap map = rules.build();
        return new NormalizingCharFilterFactory() {
            public String name() { return name; }
            public Reader create(Reader r) { return new MappingCharFilter(map, r); }
        };
    }

    private static String unescaped(String text) {
        return CODE.matcher(text).replaceAll(m -> Matcher.quoteReplacement(
            String.valueOf((char) Integer.parseInt(m.group(1), 16))));
    }

    private static final Pattern CODE = Pattern.compile("\\\\u([0-9a-fA-F]{4})");

    private static int min(Settings s) { return s.getAsInt("min_gram", 1); }

    private static int max(Settings s) { return s.getAsInt("max_gram", 2); }

    private static AnalysisProvider<AnalyzerProvider<? extends Analyzer>> analyzer(Supplier<Analyzer> make) {
        return (i, e, name, s) -> {
            Analyzer a = make.get();
            return new AnalyzerProvider<Analyzer>() {
                public String name() { return name; }
                public AnalyzerScope scope() { return AnalyzerScope.INDEX; }
                public Analyzer get() { return a; }
            };
        };
    }

    private static AnalysisProvider<TokenFilterFactory> filter(Function<Settings, Function<TokenStream, TokenStream>> make) {
        return (i, e, name, s) -> {
            Function<TokenStream, TokenStream> f = make.apply(s);
            return new TokenFilterFactory() {
                public String name() { return name; }
                public TokenStream create(TokenStream in) { return f.apply(in); }
            };
        };
    }

    /** synonym_graph with inline "synonyms" in Solr format; the rules are tokenized by the chain before it. */
    private record Synonyms(String name, Settings settings) implements TokenFilterFactory {
        @Override
        public TokenStream create(TokenStream in) {
            throw new IllegalStateException("synonym_graph must be used in an analyzer chain");
        }

        @Override
        public TokenFilterFactory getChainAwareTokenFilterFactory(
            IndexCreationContext context,
            TokenizerFactory tokenizer,
            List<CharFilterFactory> charFilters,
            List<TokenFilterFactory> before,
            Function<String, TokenFilterFactory> all
        ) {
            Analyzer chain = new CustomAnalyzer(
                tokenizer, charFilters.toArray(CharFilterFactory[]::new), before.toArray(TokenFilterFactory[]::new));
            SynonymMap map;
            try {
                SolrSynonymParser p = new SolrSynonymParser(true, settings.getAsBoolean("expand", true), chain);
                p.parse(new StringReader(String.join("\n", settings.getAsList("synonyms"))));
                map = p.build();
            } catch (IOException | ParseException e) {
                throw new IllegalArgumentException("failed to build synonyms for [" + name + "]", e);
            }
            String filterName = name;
            return new TokenFilterFactory() {
                public String name() { return filterName; }
                public TokenStream create(TokenStream in) { return map.fst == null ? in : new SynonymGraphFilter(in, map, false); }
            };
        }
    }
}
