-- Search: full text beside the vectors, an index on the vectors, and the functions that applications call.

-- ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- The characters of the scripts that have no blank between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese.
CREATE FUNCTION docproc.without_blanks() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u302f\u3031-\u30ff\u3400-\u4dbf'
         '\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]'
$$;

-- Text as the parser of full text search wants it, the same under every locale: small letters (the locale C knows only
-- those of ASCII), no punctuation of other scripts, and a blank round every character of a script that has no blanks.
-- At most 200,000 characters, because a tsvector may not be longer than 1 MB.
CREATE FUNCTION docproc.plain_words(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  -- Text of ASCII alone, by far the most frequent, has nothing of all this; and translate is slow, so it is asked for.
  SELECT CASE WHEN octet_length(words) = length(words) THEN left(words, 200000) ELSE regexp_replace(regexp_replace(
    CASE WHEN words ~ '[\u00c0-\u00de\u0100-\u017d\u0391-\u03ab\u0400-\u042f]' THEN translate(left(words, 200000),
      'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹ'
    'ŻŽΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
      'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿź'
    'żžαβγδεζηθικλμνξοπρστυφχψωϊϋѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюя') ELSE left(words, 200000) END,
    '[\u00a0-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u060c\u061b\u061f\u06d4\u2000-\u206f'
    '\u2190-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]', ' ', 'g'),
    '(' || docproc.without_blanks() || ')', ' \1 ', 'g') END
$$;

ALTER TABLE docproc.document_chunk_buffer ADD COLUMN words tsvector GENERATED ALWAYS AS
  (to_tsvector('simple'::regconfig, docproc.plain_words(embed_prefix || ' ' || text))) STORED;
-- Without it the planner expects 200 times too few rows of a join on the chunks' version.
CREATE STATISTICS docproc.document_chunk_buffer_version ON (chunker_name || '@' || chunker_version)
  FROM docproc.document_chunk_buffer;
CREATE INDEX document_chunk_buffer_words ON docproc.document_chunk_buffer USING gin (words)
  WITH (gin_pending_list_limit = 256);  -- kB: every search reads the list of what is not sorted in yet

CREATE OR REPLACE VIEW docproc.document_search AS
SELECT s.source_id, s.uri AS source, s.user_id, j.document_id, j.job_id, c.chunk_id, c.chunk_ord, c.text,
       c.heading_path, c.page_first, c.page_last, c.char_start, c.char_end, c.tokens, v.embed_model,
       v.embed_version, v.vector, c.words
  FROM docproc.sources s
  JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id AND j.status = 'complete'
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
  JOIN docproc.document_vector_buffer v ON v.chunk_id = c.chunk_id
   AND v.embed_model = j.embed_model AND v.embed_version = j.embed_version
 WHERE s.withdrawn_at IS NULL;

-- Model and version to embed a user's query with: as given, else those in service. A view, so that a reader's rights do.
CREATE VIEW docproc.search_model AS SELECT user_id, embed_model, embed_version FROM docproc.serving;

CREATE FUNCTION docproc.model_in_use(for_user text, INOUT embed_model text, INOUT embed_version text)
LANGUAGE sql STABLE AS $$
  SELECT coalesce($2, m.embed_model), coalesce($3, m.embed_version)
    FROM (SELECT) one LEFT JOIN docproc.search_model m ON m.user_id = $1
$$;

-- ── the index on the vectors ────────────────────────────────────────────────────────────────────────────────────────

-- The index of one model and version: its name, the statement that builds it, and whether it is whole (NULL: there is
-- none). ``kind`` is hnsw (float32, at most 2,000 dimensions) or halfvec (float16, at most 4,000).
CREATE FUNCTION docproc.vector_index(model text, version text, kind text,
                                     OUT name text, OUT statement text, OUT whole boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE
  home text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector');
  type text := CASE kind WHEN 'halfvec' THEN 'halfvec' ELSE 'vector' END;
BEGIN
  name := format('document_vector_buffer_%s_%s', kind, left(md5(model || ' ' || version), 12));
  statement := format(
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON docproc.document_vector_buffer'
    ' USING hnsw ((vector::%s.%s(%s)) %s.%s_cosine_ops) WHERE embed_model = %L AND embed_version = %L',
    name, home, type, substring(version FROM '^d(\d+)-'), home, type, model, version);
  whole := (SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE c.relname = name AND i.indrelid = 'docproc.document_vector_buffer'::regclass);
END
$$;

-- Who is about to build an index: a claim for the minute until the build itself can be seen.
CREATE TABLE docproc.index_builds (
  name       text PRIMARY KEY,
  claimed_at timestamptz NOT NULL
);

-- Drops what a build that died has left. A build holds the lock asked for here to its end.
CREATE FUNCTION docproc.drop_unfinished_index(model text, version text, kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  index record;
BEGIN
  SELECT * INTO index FROM docproc.vector_index(model, version, kind);
  IF NOT index.whole THEN
    LOCK TABLE docproc.document_vector_buffer IN SHARE UPDATE EXCLUSIVE MODE;
    EXECUTE format('DROP INDEX IF EXISTS docproc.%I', index.name);
  END IF;
END
$$;

-- Claims the build of an index and drops what a build that died has left; false when it is whole by now or somebody
-- builds it. The lock is waited for briefly, because a build in turn waits for this transaction: longer, and the server
-- would end one of the two for a deadlock.
CREATE FUNCTION docproc.make_way_for_index(model text, version text, kind text) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
DECLARE
  index record;
BEGIN
  SELECT * INTO index FROM docproc.vector_index(model, version, kind);
  INSERT INTO docproc.index_builds AS b VALUES (index.name, clock_timestamp())
      ON CONFLICT (name) DO UPDATE SET claimed_at = excluded.claimed_at
   WHERE b.claimed_at < clock_timestamp() - interval '1 minute';
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM docproc.drop_unfinished_index(model, version, kind);
  SELECT * INTO index FROM docproc.vector_index(model, version, kind);
  RETURN index.whole IS NULL;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END
$$;

-- ── search ──────────────────────────────────────────────────────────────────────────────────────────────────────────

-- The nearest of ``among`` as three arrays: $1 is the query, $2 how many are wanted, $3 how many are
-- looked at first. What comes through an index is almost in order, hence the second
-- ORDER BY, which "+ 0" keeps from being skipped.
CREATE FUNCTION docproc.nearest_statement(home text, among text, type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT 'WITH near AS MATERIALIZED (SELECT source_id, chunk_id, vector OPERATOR(' || home || '.<=>) $1 AS distance'
      || ' FROM ' || among || ' ORDER BY (vector' || type || ') OPERATOR(' || home || '.<=>) ($1' || type || ') LIMIT $3),'
      || ' best AS (SELECT * FROM near ORDER BY distance + 0, chunk_id, source_id LIMIT $2)'
      || ' SELECT array_agg(source_id), array_agg(chunk_id), array_agg(distance) FROM best'
$$;

-- Runs ``look`` through the index on the vectors, as far as that brings ``width`` rows. The planner has to be told: it
-- does not know that the vectors lie out of line, so that to order them one by one looks cheap to it.
CREATE FUNCTION docproc.through_index(look text, query vector, k integer, width integer,
                                      OUT sources uuid[], OUT chunks uuid[], OUT distances double precision[])
LANGUAGE plpgsql SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET enable_material = off AS $$
DECLARE
  scan text := current_setting('hnsw.iterative_scan', true);  -- NULL before pgvector 0.8
  breadth text := current_setting('hnsw.ef_search', true);
BEGIN
  PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true) WHERE scan IS NOT NULL;
  PERFORM set_config('hnsw.ef_search', least(greatest(100, 2 * width), 1000)::text, true);
  EXECUTE look INTO sources, chunks, distances USING query, k, width;
  PERFORM set_config('hnsw.iterative_scan', scan, true) WHERE scan IS NOT NULL;
  PERFORM set_config('hnsw.ef_search', breadth, true);
END
$$;

-- The k nearest chunks by cosine distance. Where there is an index on the vectors and more than 1,000 chunks to choose
-- from, the answer is approximate; it is exact where there are fewer, and where a filter left the index short of k.
CREATE FUNCTION docproc.nearest(query vector, k integer, for_user text, source_like text, model text, version text)
RETURNS TABLE (source_id uuid, chunk_id uuid, distance double precision) LANGUAGE plpgsql ROWS 50 AS $$
DECLARE
  home text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector');
  dims text := substring(version FROM '^d(\d+)-');
  -- Literals, not parameters: only so can the planner see that the partial index covers the question.
  among text := format(
    'docproc.document_search WHERE embed_model = %L AND embed_version = %L AND user_id = %L %s',
    model, version, for_user, CASE WHEN source_like IS NOT NULL THEN format('AND source LIKE %L', source_like) END);
  kind text := CASE WHEN (SELECT whole FROM docproc.vector_index(model, version, 'hnsw')) THEN 'vector'
                    WHEN (SELECT whole FROM docproc.vector_index(model, version, 'halfvec')) THEN 'halfvec' END;
  have integer;
  width integer := k;
  type text;
  sources uuid[];
  chunks uuid[];
  distances double precision[];
BEGIN
  EXECUTE format('SELECT %s.vector_dims($1)', home) INTO have USING query;
  IF have::text <> dims THEN
    RAISE EXCEPTION 'the query has % dimensions, the vectors of % % have %', have, model, version, dims
      USING ERRCODE = 'data_exception';
  END IF;
  IF kind IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1001) few', among) INTO have;
    IF have > 1000 THEN
      type := format('::%s.%s(%s)', home, kind, dims);
      -- Half the digits order well but not exactly: twice as many are fetched and ordered by the whole vectors.
      width := CASE kind WHEN 'halfvec' THEN 2 * k ELSE k END;
      SELECT * INTO sources, chunks, distances
        FROM docproc.through_index(docproc.nearest_statement(home, among, type), query, k, width);
    END IF;
  END IF;
  IF coalesce(cardinality(chunks), 0) < k THEN
    EXECUTE docproc.nearest_statement(home, among, '') INTO sources, chunks, distances USING query, k, k;
  END IF;
  RETURN QUERY SELECT * FROM unnest(sources, chunks, distances);
END
$$;

-- What full text search looks for, one word each: words with a hyphen as phrases, and of a run of characters without
-- blanks every two that stand side by side.
CREATE FUNCTION docproc.query_terms(plain text) RETURNS TABLE (term tsquery) LANGUAGE sql IMMUTABLE ROWS 10 AS $$
  WITH parts AS (
    SELECT part, n, part ~ ('^' || docproc.without_blanks() || '$') AS dense
      FROM regexp_split_to_table(plain, '\s+') WITH ORDINALITY AS p(part, n)),
  runs AS (
    SELECT part, dense, lag(part) OVER (ORDER BY n) AS before, lag(dense) OVER (ORDER BY n) AS dense_before,
           lead(dense) OVER (ORDER BY n) AS dense_after
      FROM parts)
  SELECT DISTINCT t.term
    FROM runs, phraseto_tsquery('simple',
                                CASE WHEN dense AND dense_before THEN before || ' ' || part ELSE part END) AS t(term)
   WHERE NOT (dense AND NOT coalesce(dense_before, false) AND coalesce(dense_after, false)) AND numnode(t.term) > 0
$$;

-- The k best chunks by their words: the sum over the words of the query that a chunk has of how rare each word is
-- (the inverse document frequency of BM25, Robertson and Zaragoza 2009), then by how close together they stand.
-- Quotes and a minus are obeyed as websearch_to_tsquery does. A word that 2,000 chunks have finds nothing by itself.
-- The planner takes words that lie out of line for cheap to read, so it is told to go through the indexes.
CREATE FUNCTION docproc.matching(words text, k integer, for_user text, source_like text, model text, version text)
RETURNS TABLE (source_id uuid, chunk_id uuid, weight double precision) LANGUAGE plpgsql STABLE ROWS 50
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
  enough CONSTANT integer := 2000;
  plain text := docproc.plain_words(words);
  exact tsquery := websearch_to_tsquery('simple', plain);
  total integer;
  terms tsquery[];
  weights double precision[];
  wanted tsquery;
BEGIN
  SELECT count(*) INTO total FROM (SELECT FROM docproc.document_search d WHERE d.user_id = for_user LIMIT enough) few;
  SELECT array_agg(t.term), array_agg(ln(1 + (total - least(t.found, total) + 0.5) / (t.found + 0.5))),
         (string_agg(format('(%s)', t.term), ' | ') FILTER (WHERE t.found < enough))::tsquery
    INTO terms, weights, wanted
    FROM (SELECT q.term, (SELECT count(*) FROM (SELECT FROM docproc.document_search d
                           WHERE d.words @@ q.term AND d.user_id = for_user LIMIT enough) few) AS found
            FROM docproc.query_terms(plain) q) t;
  IF wanted IS NULL OR words ~ '"|(^|\s)-' THEN
    wanted := exact;
  END IF;
  RETURN QUERY
  SELECT d.source_id, d.chunk_id,
         (SELECT sum(w.weight) FROM unnest(terms, weights) AS w(term, weight) WHERE d.words @@ w.term)
    FROM docproc.document_search d
   WHERE d.words @@ wanted AND d.user_id = for_user AND d.embed_model = model AND d.embed_version = version
     AND (source_like IS NULL OR d.source LIKE source_like)
   ORDER BY 3 DESC NULLS LAST, ts_rank_cd(d.words, wanted) DESC, d.chunk_id, d.source_id
   LIMIT k;
END
$$;

-- Vector search as applications call it. ``model`` and ``version`` default to those in service; ``score`` is the
-- cosine similarity, at most 1. The caller needs USAGE on the schema and SELECT on document_search and search_model.
CREATE FUNCTION docproc.search(query vector, k integer DEFAULT 10, for_user text DEFAULT 'default',
                               source_like text DEFAULT NULL, model text DEFAULT NULL, version text DEFAULT NULL)
RETURNS TABLE (source text, document_id uuid, chunk_id uuid, score double precision, page_first integer,
               page_last integer, heading_path text[], text text) LANGUAGE sql ROWS 10 AS $$
  SELECT d.source, d.document_id, d.chunk_id, 1 - n.distance, d.page_first, d.page_last, d.heading_path, d.text
    FROM docproc.model_in_use(for_user, search.model, search.version) used,
         docproc.nearest(query, k, for_user, source_like, used.embed_model, used.embed_version) WITH ORDINALITY
           AS n(source_id, chunk_id, distance, place)
    JOIN docproc.document_search d ON d.source_id = n.source_id AND d.chunk_id = n.chunk_id
   WHERE d.embed_model = used.embed_model AND d.embed_version = used.embed_version
   ORDER BY n.place
$$;

-- Vectors and words together: two lists of 5 k, at least 50, fused by reciprocal rank, which needs no common scale:
-- ``score`` is the sum of 1 / (60 + place), with the 60 of Cormack, Clarke and Büttcher 2009.
CREATE FUNCTION docproc.search_hybrid(query vector, words text, k integer DEFAULT 10, for_user text DEFAULT 'default',
                                      source_like text DEFAULT NULL, model text DEFAULT NULL, version text DEFAULT NULL)
RETURNS TABLE (source text, document_id uuid, chunk_id uuid, score double precision, page_first integer,
               page_last integer, heading_path text[], text text) LANGUAGE sql ROWS 10 AS $$
  WITH used AS (SELECT * FROM docproc.model_in_use(for_user, search_hybrid.model, search_hybrid.version)),
  near AS (
    SELECT n.*
      FROM used, docproc.nearest(query, greatest(5 * k, 50), for_user, source_like, embed_model, embed_version)
                 WITH ORDINALITY AS n(source_id, chunk_id, distance, place)),
  worded AS (
    SELECT m.*
      FROM used, docproc.matching(words, greatest(5 * k, 50), for_user, source_like, embed_model, embed_version)
                 WITH ORDINALITY AS m(source_id, chunk_id, weight, place)),
  fused AS (
    SELECT source_id, chunk_id, coalesce(1.0 / (60 + near.place), 0) + coalesce(1.0 / (60 + worded.place), 0) AS score
      FROM near FULL JOIN worded USING (source_id, chunk_id)
     ORDER BY 3 DESC, near.place, chunk_id, source_id LIMIT k)
  SELECT d.source, d.document_id, d.chunk_id, f.score, d.page_first, d.page_last, d.heading_path, d.text
    FROM fused f JOIN docproc.document_search d ON d.source_id = f.source_id AND d.chunk_id = f.chunk_id
    JOIN used ON d.embed_model = used.embed_model AND d.embed_version = used.embed_version
   ORDER BY f.score DESC, d.chunk_id, d.source_id
$$;
