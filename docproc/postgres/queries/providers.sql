SELECT parser_kind, embedder_kind FROM docproc.installation
