-- Documents whose parse is that of one of these, because it says the same: from now on it is their own.
UPDATE docproc.upload_jobs
   SET parsed_path = 'storage://parsed/' || user_id || '/' || document_id::text || '.md'
 WHERE parsed_path = ANY (%(uris)s::text[]) AND document_id <> ALL (%(document_ids)s::uuid[])
   AND parsed_path <> 'storage://parsed/' || user_id || '/' || document_id::text || '.md'
