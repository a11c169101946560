// The page's markup. It says nothing of a model: the script asks the server.

export const pageHtml = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>flexbert serve</title>
<link rel="icon" href="page/icon.svg">
<link rel="stylesheet" href="page/style.css">
<script type="module" src="page/serve/page/browser/main.js"></script>
</head>
<body>
<header>
  <h1>flexbert serve</h1>
  <p id="model" class="chips"></p>
  <p id="reach" role="status"></p>
</header>
<main>
<section id="ask" aria-labelledby="ask-title">
  <h2 id="ask-title">Ask</h2>
  <form id="form">
    <label for="text">Text</label>
    <textarea id="text" rows="3" required maxlength="100000" aria-describedby="keys">A moving film, and one that is very well played.</textarea>
    <label for="pair">Second text <span class="faint">for tasks that take pairs</span></label>
    <textarea id="pair" rows="2" maxlength="100000"></textarea>
    <fieldset>
      <legend>Tasks <span class="faint" id="which"></span></legend>
      <div id="tasks" class="chips"></div>
    </fieldset>
    <p class="row">
      <button type="submit" id="run">Predict</button>
      <span class="faint" id="keys">Ctrl+Enter</span>
    </p>
    <div id="access" hidden>
      <label for="token">This server wants a token</label>
      <input id="token" type="password" autocomplete="off" spellcheck="false">
    </div>
  </form>
</section>
<section id="said" aria-labelledby="said-title">
  <h2 id="said-title">Answers</h2>
  <p id="outcome" role="status">Each task answers as soon as its own layers ran.</p>
  <ul id="answers"></ul>
</section>
<section id="drawn" aria-labelledby="drawn-title">
  <h2 id="drawn-title">What ran</h2>
  <p class="legend"><span class="key trunk">shared layers</span> <span class="key own">a task's own</span> <span class="key idle">not run</span></p>
  <div id="picture" class="scroll" tabindex="0" role="region" aria-labelledby="drawn-title"></div>
  <details id="pieces-box" hidden><summary>Every part, with its time</summary>
    <div class="scroll"><table id="pieces"></table></div>
  </details>
</section>
<section id="live" aria-labelledby="live-title">
  <h2 id="live-title">Now</h2>
  <dl id="figures"></dl>
  <div id="curves"></div>
</section>
<section id="versions" aria-labelledby="versions-title">
  <h2 id="versions-title">Versions</h2>
  <form id="admin" class="row">
    <label for="admin-token">Admin token</label>
    <input id="admin-token" type="password" autocomplete="off" spellcheck="false" required>
    <button type="submit">Show history</button>
    <button type="button" id="reload" disabled>Reload the folder</button>
  </form>
  <p id="changed" role="status" class="faint">The token stays in this page's memory and goes with it.</p>
  <div class="scroll"><table id="history"></table></div>
</section>
</main>
</body>
</html>
`;
