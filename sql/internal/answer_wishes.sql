create or replace function postroad.answer_wishes(message_ids uuid[], event_ids bigint[])
returns void
language plpgsql
volatile
set enable_seqscan = off
set jit = off
as $$
begin
  perform postroad.enqueue('sms', x.number, body => x.body, tenant_id => x.tenant_id,
    -- A machine at the other end that answers with HELP must not go round in circles with us.
    idempotency_key => format('sms-reply:%s:%s:%s', x.wish, encode(sha256(convert_to(x.number, 'UTF8')), 'hex'), to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24')))
  from (
    select distinct e.detail ->> 'wish' as wish, r.body, m.tenant_id,
      postroad.normalize_phone(coalesce(e.detail ->> 'recipient', m.recipient)) as number
    from postroad.delivery_events as e
    join postroad.sms_replies as r on r.wish = e.detail ->> 'wish'
    left join lateral postroad.record_of(e.message_id) as m on true
    where e.message_id = any (answer_wishes.message_ids)
      and e.event_id = any (answer_wishes.event_ids)
      and coalesce(m.channel, 'sms') = 'sms'
    offset 0
  ) as x
  where x.number is not null;
end;
$$;

comment on function postroad.answer_wishes is
'Enqueues the reply of sms_replies to each number that asked for HELP or sent START, where there is one: once an hour at most.';
