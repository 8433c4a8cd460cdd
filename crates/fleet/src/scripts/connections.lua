-- Connections of many processes: opens as many as the caps of the asking process allow over all of them. What the process
-- holds is said in full with each call, and replaces what it has said before.
--
-- KEYS  all connections, then the clients, each once
-- ARGV  deadline (us of this clock, 0 for none), process (8 bytes), lease (us), most connections, most of one client (each
--       -1 for no cap), connections that the process holds, how many it opens that count for no client, then for each
--       client: how many it holds, how many it opens, how many it holds already that are to count for the client too
-- Value rows of 24 bytes: process, connections, until when they count (us)
-- Reply this clock, all connections now, how many were opened that count for no client, then for each client: opened, counted
--       too, and the cap that refused others: 0 none, 1 all, 2 the client's; -1 opened where its key holds something else.
--       The clock and -1 where the first key does. The clock alone after the deadline, and nothing was changed.
local call, pack, unpk = redis.call, struct.pack, struct.unpack
local ceil, min, max, huge = math.ceil, math.min, math.max, math.huge
local ROW, SIZE = '<c8dd', 24
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local deadline = ARGV[1] + 0
if deadline > 0 and now > deadline then return {now} end
local process, lease = ARGV[2], ARGV[3] + 0
local most, most_of_client = ARGV[4] + 0, ARGV[5] + 0

-- The rows of the other processes, their sum, until when they count, and whether the key is to be written in any case.
-- Nothing where the key holds something else.
local function others(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' or (value and #value % SIZE ~= 0) then return nil end
  local rows, sum, last, changed = {}, 0, 0, false
  for i = 1, value and #value or 0, SIZE do
    local owner, count, stop = unpk(ROW, value, i)
    -- A row that counts for longer than a lease was written before the clock was set back.
    local clamped = min(stop, now + lease)
    if owner ~= process and clamped > now then
      rows[#rows + 1] = pack(ROW, owner, count, clamped)
      sum = sum + count
      last = max(last, clamped)
      changed = changed or clamped ~= stop
    else
      changed = true
    end
  end
  return rows, sum, last, changed
end

local function write(key, own, rows, last, changed)
  if own > 0 then
    rows[#rows + 1] = pack(ROW, process, own, now + lease)
    last = now + lease
  elseif not changed then
    return
  end
  if #rows == 0 then call('DEL', key)
  -- The server counts milliseconds from its last whole one.
  else call('SET', key, table.concat(rows), 'PX', ceil((last - now) / 1000) + 1) end
end

local function room(cap, used) return cap < 0 and huge or max(cap - used, 0) end

local rows, sum, last, changed = others(KEYS[1])
if not rows then return {now, -1} end
local own, plain = ARGV[6] + 0, ARGV[7] + 0
plain = min(plain, room(most, sum + own))
own = own + plain
local reply = {now, 0, plain}
for i = 2, #KEYS do
  local given = 3 * i + 1
  local held, opens, joins = ARGV[given + 1] + 0, ARGV[given + 2] + 0, ARGV[given + 3] + 0
  local of_others, sum_of_others, stop, must_write = others(KEYS[i])
  local opened, joined, cap = -1, 0, 0
  if of_others then
    local free, free_in_all = room(most_of_client, sum_of_others + held), room(most, sum + own)
    opened = min(opens, free, free_in_all)
    joined = min(joins, free - opened)
    if opened < opens then cap = free <= free_in_all and 2 or 1 elseif joined < joins then cap = 2 end
    own = own + opened
    write(KEYS[i], held + opened + joined, of_others, stop, must_write)
  end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = opened, joined, cap
end
write(KEYS[1], own, rows, last, changed)
reply[2] = sum + own
return reply
