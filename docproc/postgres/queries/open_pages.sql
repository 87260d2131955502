-- The pages of the parse once there is one, before that those that the file was seen to have.
SELECT count(*) FILTER (WHERE pages IS NULL) AS unknown, coalesce(sum(pages), 0)::bigint AS pages
  FROM (SELECT coalesce(progress ->> 'pages_total', progress ->> 'pages_in_file')::bigint AS pages
          FROM docproc.upload_jobs
         WHERE NOT is_final AND status = ANY (%(states)s)
           AND (%(only)s::text IS NULL OR user_id = %(only)s)) AS job
