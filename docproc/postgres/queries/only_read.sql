SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', %(milliseconds)s, true),
       set_config('lock_timeout', '2s', true)
