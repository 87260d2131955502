INSERT INTO docproc.installation (parser_kind, embedder_kind) VALUES (%(parser)s, %(embedder)s)
ON CONFLICT (only_row) DO NOTHING
