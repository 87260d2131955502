SELECT DISTINCT parsed_path AS uri, 'storage://parsed/' || user_id || '/' || document_id::text || '.md' AS own
  FROM docproc.upload_jobs
 WHERE parsed_path = ANY (%(uris)s::text[]) AND document_id <> ALL (%(document_ids)s::uuid[])
   AND parsed_path <> 'storage://parsed/' || user_id || '/' || document_id::text || '.md'
