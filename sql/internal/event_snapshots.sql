create or replace function postroad.event_snapshot()
returns txid_snapshot
language plpgsql
volatile
as $$
declare
  own constant bigint := txid_current_if_assigned();
  snapshot constant txid_snapshot := txid_current_snapshot();
begin
  -- The transaction that asks is not in its own snapshot's list, but it may write more: it must not count as seen.
  if own < txid_snapshot_xmax(snapshot) then
    return (
      select least(own, txid_snapshot_xmin(snapshot)) || ':' || txid_snapshot_xmax(snapshot) || ':' || string_agg(x.id::text, ',' order by x.id)
      from (select txid_snapshot_xip(snapshot) union select own) as x (id)
    )::txid_snapshot;
  end if;
  return snapshot;
end;
$$;

comment on function postroad.event_snapshot is
'What can be seen now, without what the asking transaction itself wrote: where an interval of events may end.';

create or replace function postroad.txid_current_if_assigned()
returns bigint
language sql
stable
as $$
  select pg_current_xact_id_if_assigned()::text::bigint
$$;

comment on function postroad.txid_current_if_assigned is 'The id of this transaction, or null when it has written nothing yet.';

create or replace function postroad.interval_start(
  seen txid_snapshot,
  upto txid_snapshot,
  out early bigint[],
  out first bigint
)
language plpgsql
stable
as $$
declare
  ended bigint[];
begin
  ended := array(
    select x.id
    from txid_snapshot_xip(seen) as x (id)
    where txid_visible_in_snapshot(x.id, upto)
    order by x.id
  );
  first := txid_snapshot_xmax(seen);
  early := array(select u.id from unnest(ended) as u (id) where u.id < first - 100 order by 1);
  first := coalesce((select min(u.id) from unnest(ended) as u (id) where u.id >= first - 100), first);
end;
$$;

comment on function postroad.interval_start is
$$Where the transactions begin that upto sees and seen does not: early, those that had been open for long, one by one; and the first one from which on a range is looked
through. Without that a transaction open for an hour would make each interval an hour wide.$$;
