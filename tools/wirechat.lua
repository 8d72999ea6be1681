-- Wireshark dissector of the chat wire protocol, version 0.
--
-- Port 9000 is taken as it is; for another one: tshark -d tcp.port==9001,wirechat,
-- or "Decode As…" in Wireshark. Rule ids (FRM-2) are those of PROTOCOL.md.

local HEADER_SIZE = 42
-- Data octets from which on nothing is put together: TCP's sequence numbers wrap.
local MOST_DATA = 2 ^ 30
local ANY = math.huge

local proto = Proto("wirechat", "Chat wire protocol")

-- The name of each command, the fewest and most fields that it takes from a client and
-- from a server (nil where that side does not send it), and what its fields are.
local COMMANDS = {
    [0] = { name = "CREATE", client = { 1, 1 }, "username" },
    [1] = { name = "LIST", client = { 0, 1 }, "filter" },
    [2] = { name = "SEND", client = { 3, 3 }, server = { 3, ANY },
            "sender", "recipient", "message" },
    [3] = { name = "DELIVER", client = { 0, 0 } },
    [4] = { name = "DELETE", client = { 0, 0 } },
    [5] = { name = "LOGIN", client = { 1, 1 }, "username" },
    [6] = { name = "RESPONSE", server = { 0, 1 }, "error" },
    [7] = { name = "LISTRESPONSE", server = { 0, ANY }, all = "username" },
}

local NAMES = {}
for code, command in pairs(COMMANDS) do NAMES[code] = command.name end

local FIELDS = {
    version = ProtoField.uint8("wirechat.version", "Version"),
    command = ProtoField.uint8("wirechat.command", "Command", base.DEC, NAMES),
    length = ProtoField.uint64("wirechat.length", "Length"),
    data = ProtoField.bytes("wirechat.data", "Data"),
    username = ProtoField.string("wirechat.username", "Username"),
    filter = ProtoField.string("wirechat.filter", "Filter"),
    sender = ProtoField.string("wirechat.sender", "Sender"),
    recipient = ProtoField.string("wirechat.recipient", "Recipient"),
    message = ProtoField.string("wirechat.message", "Message"),
    error = ProtoField.string("wirechat.error", "Error text"),
    field = ProtoField.string("wirechat.field", "Field"),
    no_frame = ProtoField.bytes("wirechat.no_frame", "No frame"),
}

proto.fields = FIELDS

local RULES = {}
for _, rule in ipairs { "FRM-1", "FRM-2", "FRM-5", "FRM-8", "DAT-2", "DAT-3", "SND-10" } do
    local name = "wirechat." .. rule:lower():gsub("-", "")
    RULES[rule] = ProtoExpert.new(name, rule, expert.group.PROTOCOL, expert.severity.WARN)
end
proto.experts = RULES

local function tell(tree, rule, reason)
    tree:add_proto_expert_info(RULES[rule], rule .. ": " .. reason)
end

-- Text as wirechat-dump shows it: what is no printable ASCII would end or change a line.
local function escape(text)
    return (text:gsub('[%z\1-\31"\\\127-\255]', function(octet)
        if octet == '"' or octet == "\\" then return "\\" .. octet end
        return ("\\x%02x"):format(octet:byte())
    end))
end

-- The fields of a data list, each with where it begins (DAT-1).
local function split(data)
    local found, start = {}, 1
    while #data > 0 do
        local bars = data:find("|||", start, true)
        table.insert(found, { at = start - 1, text = data:sub(start, (bars or 0) - 1) })
        if not bars then break end
        start = bars + 3
    end
    return found
end

-- What this side may send: a connection of two equal ports tells nothing.
local function limits(command, pinfo)
    local client, server = command.client, command.server
    if pinfo.src_port == pinfo.dst_port then return client or server end
    if pinfo.src_port == pinfo.match_uint then return server end
    return client
end

local function plural(count, word)
    return ("%d %s%s"):format(count, word, count == 1 and "" or "s")
end

local function check(tree, code, fields, data, pinfo)
    local command = COMMANDS[code]
    local allowed = command and limits(command, pinfo)
    if not allowed then return tell(tree, "FRM-5", "unknown command " .. code) end
    local bad = data:find("[\128-\255]")
    if bad then
        tell(tree, "DAT-2", ("octet 0x%02x is not ASCII"):format(data:byte(bad)))
    end
    if #fields < allowed[1] or #fields > allowed[2] then
        local rule = code == 2 and "SND-10" or "DAT-3"
        tell(tree, rule, command.name .. " does not take " .. plural(#fields, "field"))
    end
end

-- What a frame is, in a few words.
local function summary(code, fields, size)
    local text = NAMES[code] or "command " .. code
    if code == 2 and #fields >= 3 then
        local sender, recipient = escape(fields[1].text), escape(fields[2].text)
        text = text .. " " .. sender .. " → " .. recipient
    elseif #fields == 1 then
        text = text .. " " .. escape(fields[1].text)
    elseif #fields > 1 then
        text = text .. " of " .. #fields .. " fields"
    end
    return size > 0 and text .. ", " .. plural(size, "octet") or text
end

local function show_data(tree, range, code, fields)
    local command = COMMANDS[code] or {}
    tree:add(FIELDS.data, range)
    for index, field in ipairs(fields) do
        local kind = FIELDS[command[index] or command.all or "field"]
        -- An empty field has no octets of its own to point at.
        local part = #field.text > 0 and range(field.at, #field.text) or range
        tree:add(kind, part, escape(field.text))
    end
end

local function show_header(tree, range)
    tree:add(FIELDS.version, range(0, 1))
    tree:add(FIELDS.command, range(1, 1))
    tree:add(FIELDS.length, range(2, 40), range(34, 8):uint64())
end

local function show_frame(range, pinfo, root)
    local size, code = range:len() - HEADER_SIZE, range(1, 1):uint()
    local data = size > 0 and range(HEADER_SIZE):raw() or ""
    local fields = split(data)
    local text = summary(code, fields, size)
    local tree = root:add(proto, range, "Chat wire protocol, " .. text)
    show_header(tree, range)
    if size > 0 then show_data(tree, range(HEADER_SIZE), code, fields) end
    check(tree, code, fields, data, pinfo)
    return text
end

-- Octets that are no frame, up to the end of what there is.
local function show_rest(range, root, rule, reason)
    local tree = root:add(proto, range, "Chat wire protocol, no frame")
    if range:len() >= HEADER_SIZE then show_header(tree, range) end
    tree:add(FIELDS.no_frame, range)
    tell(tree, rule, reason)
    return "no frame (" .. rule .. ")"
end

-- The data octets that a header announces: high octets that are not zero go beyond all.
local function announced(range)
    if range(2, 32):raw():find("[^%z]") then return ANY end
    return range(34, 8):uint64():tonumber()
end

-- The size of the frame that begins a range, or nil and what is wrong with its header.
local function frame_size(range)
    local version = range(0, 1):uint()
    if version ~= 0 then return nil, "FRM-2", "version " .. version .. " is not 0" end
    local length = announced(range)
    if length >= MOST_DATA then
        return nil, "FRM-8", "data length is over what can be put together"
    end
    return HEADER_SIZE + length
end

-- Takes one frame; returns its octets and what to say of it, or nil and how many octets
-- it lacks.
local function take(range, pinfo, root)
    local came, size, rule, reason = range:len(), HEADER_SIZE, nil, nil
    if came >= HEADER_SIZE then
        size, rule, reason = frame_size(range)
        if not size then return came, show_rest(range, root, rule, reason) end
    end
    if came >= size and came >= HEADER_SIZE then
        return size, show_frame(range(0, size), pinfo, root)
    end
    if pinfo.can_desegment > 0 then
        return nil, came < HEADER_SIZE and DESEGMENT_ONE_MORE_SEGMENT or size - came
    end
    reason = ("cut off: %d of at least %d octets came"):format(came, size)
    return came, show_rest(range, root, "FRM-1", reason)
end

function proto.dissector(tvb, pinfo, root)
    local at, told = 0, {}
    pinfo.cols.protocol = "WIRECHAT"
    while at < tvb:len() do
        local taken, text = take(tvb(at), pinfo, root)
        if not taken then
            pinfo.desegment_offset, pinfo.desegment_len = at, text
            break
        end
        at = at + taken
        table.insert(told, text)
    end
    if #told > 0 then pinfo.cols.info = table.concat(told, "; ") end
    return tvb:len()
end

DissectorTable.get("tcp.port"):add(9000, proto)
