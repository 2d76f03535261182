create or replace view postroad.webhook_stats as
select gateway,
  coalesce(c.stored, 0) + coalesce(w.new_requests, 0) as stored,
  coalesce(c.parsed, 0) as parsed,
  coalesce(c.errors, 0) as errors,
  coalesce(w.requests, 0) as waiting,
  w.oldest_at,
  coalesce(c.events, 0) as events,
  c.last_at
from postroad.webhook_counts as c
full join (
  select b.gateway, sum(cardinality(b.inbox_ids)) as requests, coalesce(sum(cardinality(b.inbox_ids)) filter (where not b.is_replay), 0) as new_requests,
    min(b.created_at) as oldest_at
  from postroad.webhook_batches as b
  group by b.gateway
) as w using (gateway);
comment on view postroad.webhook_stats is
$$Each gateway's webhook requests since the beginning: stored (each delivery once), read, not readable (see webhook_failures and replay_webhooks), waiting to be read and since
when; the events that came of them, and when the last ones were read. Counters, not counts: as cheap at any size.$$;

create or replace view postroad.webhook_failures as
select i.inbox_id, i.received_at, i.gateway, x.failed_at, x.error, i.content_type, octet_length(i.body) as size_bytes
from postroad.webhook_errors as x
join postroad.webhook_inbox as i using (inbox_id);
comment on view postroad.webhook_failures is 'Webhook requests that could not be read, and why. postroad.replay_webhooks has them read again.';

grant select on postroad.webhook_stats, postroad.webhook_failures to postroad_reader, postroad_admin;
