create or replace function postroad.cancel_bulk(batch_id uuid)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  since constant uuid := postroad.uuid_at(postroad.created_at(batch_id));        -- its messages were made after it
  withdrawn integer;
  cancelled integer := 0;
begin
  perform postroad.need_read_committed();
  loop
    -- The messages of a row are of one call, and so of one batch.
    with gone as (
      delete from postroad.message_queue as q
      where q.message_id >= since
        and postroad.batch_of(q.message_id) = cancel_bulk.batch_id
      returning q.message_id, q.more_ids
    )
    insert into postroad.delivery_events (message_id, event_type, reason)
    select unnest(g.message_id || g.more_ids), 'cancelled', 'cancelled'
    from gone as g;
    get diagnostics withdrawn = row_count;
    cancelled := cancelled + withdrawn;
    with gone as (
      delete from postroad.scheduled as s
      where s.message_id >= since
        and postroad.batch_of(s.message_id) = cancel_bulk.batch_id
      returning s.message_id
    )
    insert into postroad.delivery_events (message_id, event_type, reason)
    select g.message_id, 'cancelled', 'cancelled'
    from gone as g;
    get diagnostics withdrawn = row_count;
    cancelled := cancelled + withdrawn;
    -- What a claim left of a row, and what was promoted or given back meanwhile, is another row.
    exit when not exists (
      select from postroad.message_queue as q where q.message_id >= since and postroad.batch_of(q.message_id) = cancel_bulk.batch_id
    ) and not exists (
      select from postroad.scheduled as s where s.message_id >= since and postroad.batch_of(s.message_id) = cancel_bulk.batch_id
    );
  end loop;
  return cancelled;
end;
$$;

comment on function postroad.cancel_bulk is
$$Withdraws all messages of a bulk send (the batch_id that enqueue_bulk and enqueue_bulk_from return) that still wait: in the queue, for their time, for their next attempt or in a pause. Returns how many;
those that are being sent, or have ended, are not among them. It looks through all that waits and was enqueued since, some microseconds each. Until the transaction ends, claims pass over what it
withdrew: let it be a transaction of its own. Raises PR001 in one that is not read committed.$$;

revoke all on function postroad.cancel_bulk from public;
grant execute on function postroad.cancel_bulk to postroad_sender, postroad_admin;
