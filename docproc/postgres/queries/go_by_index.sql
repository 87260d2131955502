-- Until its statistics are made a table that fills counts as small, and every batch would read all of it.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)
