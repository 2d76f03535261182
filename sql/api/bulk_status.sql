create or replace function postroad.bulk_status(batch_id uuid)
returns table (status text, messages bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_nestloop = off        -- arrays are planned for as ten elements: each message would be compared with each
set plan_cache_mode = force_generic_plan
set work_mem = '64MB'
set jit = off
as $$
declare
  since constant uuid := postroad.uuid_at(postroad.created_at(batch_id));        -- its messages were made after it
  members uuid[];
  low uuid;
  high uuid;
  in_flight uuid[];
begin
  members := array(
    select m.message_id
    from postroad.messages as m
    where m.xid = any (array(select t.xid from postroad.bulk_transactions as t where t.batch_id = bulk_status.batch_id))        -- an index of some pages each
      and m.message_id >= since
      and m.batch_id = bulk_status.batch_id
    union all
    select k.message_id
    from postroad.messages_kept as k
    where k.batch_id = bulk_status.batch_id
    order by 1
  );
  low := members[1];
  high := members[cardinality(members)];
  in_flight := postroad.in_flight_of(members);
  return query
  with place as (                                -- what waits for its next attempt may still be in the lease of the last one
    select w.id, max(w.place) as place
    from (
      select u.id, 'queued' as place
      from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (id)
      where q.message_id between low and high
      union all
      select s.message_id, 'scheduled'
      from postroad.scheduled as s
      where s.message_id between low and high
      union all
      select u.id, 'processing'
      from unnest(in_flight) as u (id)
    ) as w
    group by w.id
  ), told as (
    select e.message_id,
      bit_or(case e.event_type
        when 'sent' then 1 when 'delivered' then 2 when 'opened' then 2 when 'clicked' then 2 when 'failed' then 4 when 'cancelled' then 8
        when 'suppressed' then 16 when 'expired' then 32 when 'unknown' then 64
        when 'bounced' then case when e.lease_id is not null then 256 when e.bounce_type = 'soft' then 0 else 128 end
        else 0
      end) as flags,
      count(*) filter (where e.lease_id is not null and e.event_type <> 'deferred') as endings
    from postroad.delivery_events as e
    where e.message_id between low and high
    group by e.message_id
  ), plain as (                                  -- as postroad.status, which is asked about what is not told by this alone
    select u.id,
      case
        when p.place in ('queued', 'scheduled') then p.place
        when p.place is null and t.endings = 1 then case t.flags
          when 1 then 'sent' when 3 then 'delivered' when 129 then 'bounced' when 131 then 'bounced' when 256 then 'bounced'
          when 4 then 'failed' when 16 then 'suppressed' when 32 then 'expired' end
        when p.place is null and t.endings = 0 then case t.flags
          when 8 then 'cancelled' when 16 then 'suppressed' end
      end as status
    from unnest(members) as u (id)
    left join place as p on p.id = u.id
    left join told as t on t.message_id = u.id
  )
  select x.status, count(*)
  from (
    select coalesce(p.status, (select s.status from postroad.status_of(p.id, in_flight) as s)) as status
    from plain as p
  ) as x
  group by x.status
  order by array_position('{scheduled,queued,processing,sent,delivered,bounced,failed,unknown,suppressed,expired,cancelled}', x.status);
end;
$$;

comment on function postroad.bulk_status is
$$How far a bulk send is (the batch_id that enqueue_bulk and enqueue_bulk_from return): how many of its messages have each status that postroad.status gives, in the order in which a message passes through
them; statuses that none has are left out. No row: it is not known, or its retention is over, or none of its recipients was enqueued. It reads each of its messages and their events, some microseconds each.$$;

revoke all on function postroad.bulk_status from public;
grant execute on function postroad.bulk_status to postroad_sender, postroad_admin, postroad_reader;
