-- Bounds the statements behind it in the transaction, and lets them be planned for their values.
-- The memory is for sets of ids: one of a million, as many as it is ever thought to have, fits.
-- A page that is looked up costs 2.5 of those read in a row, whatever the cluster says: with 4,
-- some hundred runs are found by reading all; with 1.7 or less, a hundred thousand one by one.
-- name: limitSearch :one
select
    set_config('statement_timeout', :milliseconds, true) as "statement_timeout!",
    set_config('plan_cache_mode', 'force_custom_plan', true) as "plan_cache_mode!",
    set_config('work_mem', '32MB', true) as "work_mem!",
    set_config('random_page_cost', '2.5', true) as "random_page_cost!",
    set_config('jit', 'off', true) as "jit!";
