create or replace function postroad.complete(
  lease_ids     uuid[],
  message_ids   uuid[],
  event_types   text[],
  attempts      smallint[],
  gateways      text[],
  external_ids  text[],
  reasons       text[],
  details       jsonb[],
  retry_seconds double precision[],
  counted       boolean[],
  pause_ids     bigint[],
  finished      uuid[],
  tallies       jsonb default null
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_nestloop = off        -- arrays are planned for as ten elements: a flush of 2,000 outcomes, each compared with each, took a second
set jit = off
as $$
declare
  held uuid[];
  withdrawn uuid[];
  parking bigint[];
  given uuid[] := array(select distinct u.id from (select unnest(lease_ids) as id) as u);
begin
  held := array(
    select l.lease_id
    from postroad.leases as l
    where l.lease_id = any (given)
    order by l.lease_id
    for share                                    -- against a rescue at the same time
  );

  if cardinality(retry_seconds) = 0 and cardinality(held) = cardinality(given) then
    -- Nearly always all of them are new: an insert that need not look for conflicts costs a third less, and 48 bytes of WAL a message.
    begin
      insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail, is_tallied)
      select u.message_id, u.lease_id, u.event_type, u.attempt, u.gateway, u.external_id, u.reason,
        case when u.event_type = 'bounced' then 'hard' end, u.detail, tallies is not null
      from (                                     -- in the select list arrays are read as they are; in FROM they would be written out and read again
        select unnest(message_ids) as message_id, unnest(lease_ids) as lease_id, unnest(event_types) as event_type, unnest(attempts) as attempt,
          unnest(gateways) as gateway, unnest(external_ids) as external_id, unnest(reasons) as reason, unnest(details) as detail
      ) as u;
      insert into postroad.event_tallies (day, events, channel, gateway, message_type, source_type, tenant_id, event_type)
      select postroad.day_of(t.message_id), t.events, coalesce(t.channel, ''), t.gateway, coalesce(t.message_type, ''), t.source_type, t.tenant_id, t.event_type
      from jsonb_to_recordset(tallies)
        as t (message_id uuid, events integer, channel text, gateway text, message_type text, source_type text, tenant_id bigint, event_type text);
    exception
      when unique_violation then                 -- called again after a lost reply
        insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail)
        select u.message_id, u.lease_id, u.event_type, u.attempt, u.gateway, u.external_id, u.reason,
          case when u.event_type = 'bounced' then 'hard' end, u.detail
        from unnest(message_ids, lease_ids, event_types, attempts, gateways, external_ids, reasons, details)
          as u (message_id, lease_id, event_type, attempt, gateway, external_id, reason, detail)
        on conflict do nothing;
    end;
  else
    -- A resume that comes later waits, then finds what is parked here. One that is under way is not waited for: it may take as long as its transaction.
    parking := array(
      select x.pause_id
      from postroad.pauses as x
      where x.pause_id = any (pause_ids)
      order by x.pause_id
      for share skip locked
    );
    with outcome as materialized (
      select u.*
      from unnest(message_ids, lease_ids, event_types, attempts, gateways, external_ids, reasons, details, retry_seconds, counted, pause_ids)
        as u (message_id, lease_id, event_type, attempt, gateway, external_id, reason, detail, retry_seconds, counted, pause_id)
    ), recorded as (
      insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail)
      select o.message_id, o.lease_id, o.event_type, case when o.counted is not false then o.attempt end, o.gateway, o.external_id, o.reason,
        case when o.event_type = 'bounced' then 'hard' end, o.detail
      from outcome as o
      on conflict do nothing
      returning message_id, lease_id, event_type
    ), retried as (
      insert into postroad.scheduled (message_id, due_at, pause_id, priority, attempt)
      select o.message_id,
        case
          when x.pause_id is not null then 'infinity'
          else clock_timestamp() + make_interval(secs => case
            when exists (select from postroad.pauses as p where p.pause_id = o.pause_id) then 5        -- somebody is about to change it
            else o.retry_seconds
          end)
        end,
        x.pause_id, l.priority, case when o.counted then o.attempt else o.attempt - 1 end
      from recorded as r
      join outcome as o using (message_id, lease_id)
      join postroad.leases as l on l.lease_id = o.lease_id
      left join unnest(parking) as x (pause_id) on x.pause_id = o.pause_id
      where o.retry_seconds is not null
        and o.lease_id = any (held)
      on conflict do nothing
    )
    select array_agg(r.message_id order by r.message_id) into withdrawn
    from recorded as r
    where r.lease_id <> all (held)
      and r.event_type <> 'deferred';
    perform postroad.withdraw(u.id)              -- their lease was rescued, yet they went out: what waits for them to go out again, if unclaimed, goes
    from unnest(withdrawn) as u (id);
  end if;

  if 'bounced' = any (event_types) then          -- the recipient's own fault, which few are
    perform postroad.follow_bounces(
      array(select u.message_id from unnest(message_ids, event_types) as u (message_id, event_type) where u.event_type = 'bounced'), given);
  end if;

  if cardinality(finished) > 0 then
    delete from postroad.leases as l where l.lease_id = any (finished);
    delete from postroad.intents as i where i.lease_id = any (finished);
  end if;
end;
$$;

comment on function postroad.complete is
$$Records the outcomes of claimed messages, one element of each array an outcome (an array that is null throughout may be empty): an event of its type, and where retry_seconds
is given another attempt after so long; counted false: this attempt does not count (a fault of the gateway, a pause); pause_ids: parked until that pause is resumed.
A bounce suppresses its recipient, by suppression_rules; see follow_bounces.
finished: leases whose messages all have an outcome.
tallies: how many of the events there are by what they are counted by, [{"message_id", "events", "channel", "gateway", "message_type", "source_type", "tenant_id", "event_type"}, …], message_id any of theirs (they are of one day), which spares
count_events the look at each; used where all outcomes are new and none is tried again. May be called again after an error: what is recorded already stays as it is. Outcomes of a lease that was rescued
meanwhile are recorded; their retries are not.$$;

revoke all on function postroad.complete from public;
grant execute on function postroad.complete to postroad_worker;
