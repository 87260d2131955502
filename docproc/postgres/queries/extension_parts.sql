-- What docproc uses of pgvector and what is not there.
WITH home AS (SELECT extnamespace AS oid FROM pg_extension WHERE extname = 'vector')
SELECT 'type ' || t.name AS part FROM unnest(ARRAY['vector', 'halfvec']) AS t (name)
 WHERE NOT EXISTS (SELECT FROM pg_type p, home WHERE p.typname = t.name AND p.typnamespace = home.oid)
UNION ALL
SELECT 'operator class ' || c.name FROM unnest(ARRAY['vector_cosine_ops', 'halfvec_cosine_ops']) AS c (name)
 WHERE NOT EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'hnsw', home
                    WHERE o.opcname = c.name AND o.opcnamespace = home.oid)
UNION ALL
SELECT 'function ' || f.name || '(' || f.type || ')'
  FROM (VALUES ('vector_dims', 'vector'), ('cosine_distance', 'vector'), ('cosine_distance', 'halfvec')) AS f (name, type)
 WHERE NOT EXISTS (SELECT FROM pg_proc p JOIN pg_type t ON t.oid = p.proargtypes[0], home
                    WHERE p.proname = f.name AND p.pronamespace = home.oid AND t.typname = f.type)
 ORDER BY 1
