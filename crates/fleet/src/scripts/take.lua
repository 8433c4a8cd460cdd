-- Takes units for clients of one limiter that has a single GCRA limit.
--
-- KEYS  the clients, each once
-- ARGV  deadline (us of this clock, 0 for none), emission interval (ticks), capacity (ticks), ticks per us, time to live
--       (ms), then for each client: calls, cost of each
-- Value three doubles: when it was written (us), what was left of a block then (us), the debt then (ticks)
-- Reply this clock, then for each client: calls granted (-1: the key holds something else), what is left of its block
--       (us), its debt before the calls (ticks). The clock alone after the deadline, and nothing was charged.
local call, pack, unpk, floor, min, max = redis.call, struct.pack, struct.unpack, math.floor, math.min, math.max
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local deadline = ARGV[1] + 0
if deadline > 0 and now > deadline then return {now} end
local interval, capacity, per_us, ttl = ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, ARGV[5]
local values, reply = call('MGET', unpack(KEYS)), {now}
for i = 1, #KEYS do
  local value, calls, cost = values[i], ARGV[4 + 2 * i] + 0, ARGV[5 + 2 * i] + 0
  local at, block, debt, granted = now, 0, 0, -1
  if not value or #value == 24 then
    if value then
      at, block, debt = unpk('<ddd', value)
      if now > at then
        block = block - (now - at)
        debt = debt - (now - at) * per_us
      end
      block, debt = max(block, 0), min(max(debt, 0), capacity)
    end
    granted = 0
    if block == 0 then granted = min(calls, floor(floor((capacity - debt) / interval) / cost)) end
    -- Where the clock was set back, what is owed drains from now on.
    if granted > 0 or at > now then
      local text = pack('<ddd', now, block, debt + granted * cost * interval)
      if block > 0 then
        call('SET', KEYS[i], text, 'KEEPTTL')
      elseif value then
        call('SET', KEYS[i], text, 'PX', ttl)
      -- MGET returns nothing for a key of another type, which must not be overwritten.
      elseif not call('SET', KEYS[i], text, 'PX', ttl, 'NX') then
        granted = -1
      end
    end
  end
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = granted, block, debt
end
return reply
